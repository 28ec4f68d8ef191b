"""The plugin's callbacks, driven as TensorRT does.

On a stand-in, and on the base classes of TensorRT for RTX, whose bindings are TensorRT's; its
parser, which takes no plugins, is not used.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from pegasus_plugins.kernel_file import ATTEND, COMBINE, KernelFileError, write_kernel_file
from pegasus_plugins.launch import workspace_limit
from pegasus_plugins.plugin_error import PluginError
from pegasus_plugins.python_plugin import NEEDED_CLASSES, register_python_plugin
from pegasus_plugins.specification import NAME, NAMESPACE, SpecificationError
from plugins.fake_driver import FakeDriver
from plugins.fake_tensorrt import FakeTensorRT, floats, ints
from plugins.kernel_images import HALF, PLANNED, kernel_file

HEADS = (2, 4, 4096, 64)
MASK = (2, 4096)
PLAN = (4 * 62, 3)
ROWS = 16 * 32
STREAM = 77


class Setting:
    """A TensorRT to which the plugin was made known."""

    def __init__(self, library: Any, folder: Path) -> None:
        self.library = library
        self.driver = FakeDriver()
        self.kernels = folder / "test.kernels"
        write_kernel_file(self.kernels, kernel_file(HALF, PLANNED))
        register_python_plugin(library, self.kernels, driver=self.driver)
        if isinstance(library, FakeTensorRT):
            self.creator = library.registry.creators[0][0]
        else:
            self.creator = library.get_plugin_registry().get_creator(NAME, "1", NAMESPACE)

    def fields(self, **changes: Any) -> Any:
        values = {
            "num_heads": ints(4),
            "block_size": ints(64),
            "num_random_blocks": ints(3),
            "longest_full": ints(704),
            "scale": floats(0.125),
        }
        kinds = self.library.PluginFieldType
        self.kept = [
            self.library.PluginField(
                name, value, kinds.FLOAT32 if value.dtype == "float32" else kinds.INT32
            )
            for name, value in {**values, **changes}.items()
            if value is not None
        ]
        return self.library.PluginFieldCollection(self.kept)

    def plugin(self) -> Any:
        phase = self.library.TensorRTPhase.BUILD
        return self.creator.create_plugin("node", self.fields(), phase)

    def loaded(self, fields: Any) -> Any:
        return self.creator.create_plugin("node", fields, self.library.TensorRTPhase.RUNTIME)

    def desc(self, shape: tuple[int, ...], dtype: str = "HALF") -> Any:
        desc = self.library.PluginTensorDesc()
        desc.dims = shape
        desc.type = getattr(self.library.DataType, dtype)
        desc.format = self.library.TensorFormat.LINEAR
        return desc

    def dynamic(self, shape: tuple[int, ...], dtype: str = "HALF") -> Any:
        """Up to that shape, where sources are one token at least."""
        dynamic = self.library.DynamicPluginTensorDesc()
        dynamic.desc = self.desc(tuple(-1 if x == 4096 else x for x in shape), dtype)
        dynamic.min = tuple(1 if x == 4096 else x for x in shape)
        dynamic.opt = dynamic.max = shape
        return dynamic

    def described(self, kind: Any, *, with_plan: bool = False, dtype: str = "HALF") -> list[Any]:
        """The inputs; kind: `desc` or `dynamic`."""
        inputs = [kind(HEADS, dtype), kind(HEADS, dtype), kind(HEADS, dtype), kind(MASK, "INT32")]
        return [*inputs, kind(PLAN, "INT32")] if with_plan else inputs


@pytest.fixture(scope="module")
def rtx(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    library = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    return Setting(library, tmp_path_factory.mktemp("rtx"))


@pytest.fixture(params=["stand-in", "rtx"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Setting:
    if request.param == "stand-in":
        return Setting(FakeTensorRT(), tmp_path)
    found: Setting = request.getfixturevalue("rtx")
    found.driver.launched.clear()
    return found


def test_the_creator_asks_for_the_five_attributes(setting: Setting) -> None:
    assert (setting.creator.name, setting.creator.plugin_version) == (NAME, "1")
    assert setting.creator.plugin_namespace == NAMESPACE
    kinds = setting.library.PluginFieldType
    assert [(x.name, x.type) for x in setting.creator.field_names] == [
        ("num_heads", kinds.INT32),
        ("block_size", kinds.INT32),
        ("num_random_blocks", kinds.INT32),
        ("longest_full", kinds.INT32),
        ("scale", kinds.FLOAT32),
    ]


def test_a_plugin_says_who_it_is_and_so_does_its_clone(setting: Setting) -> None:
    plugin = setting.plugin()
    for found in (plugin, plugin.clone(), plugin.attach_to_context(None)):
        assert (found.plugin_name, found.plugin_version) == (NAME, "1")
        assert (found.plugin_namespace, found.num_outputs) == (NAMESPACE, 1)
        assert found.get_capability_interface(None) is found


def test_a_plugin_comes_back_from_what_an_engine_keeps(setting: Setting) -> None:
    plugin = setting.plugin().clone()  # which owns what is kept
    kept = plugin.get_fields_to_serialize()
    values = {x.name: x.data.tolist() for x in kept}
    expected = {"num_heads": [4], "block_size": [64], "num_random_blocks": [3]}
    assert values == {
        **expected,
        "longest_full": [704],
        "scale": [0.125],
        "workspace_rows": [ROWS],
    }
    again = setting.loaded(kept)
    assert {x.name: x.data.tolist() for x in again.get_fields_to_serialize()} == values


def test_an_engine_from_elsewhere_keeps_its_workspace(setting: Setting) -> None:
    plugin = setting.loaded(setting.fields(workspace_rows=ints(8 * 32)))
    plugin.on_shape_change(setting.described(setting.desc), [])
    plugin.enqueue([], [], [0x10, 0x20, 0x30, 0x40], [0x50], 0, STREAM)
    assert setting.driver.launched[0].values[8] == 1  # 32 programs for 32 tiles of the ends


@pytest.mark.parametrize("dtype", ["HALF", "BF16", "FLOAT"])
def test_the_output_is_like_the_query(setting: Setting, dtype: str) -> None:
    plugin, types = setting.plugin(), setting.library.DataType
    kind = getattr(types, dtype)
    assert plugin.get_output_data_types([kind, kind, kind, types.INT32]) == [kind]
    if isinstance(setting.library, FakeTensorRT):
        query = setting.library.DimsExprs(["B", 4, "S", 64])
        assert plugin.get_output_shapes([query, query, query, ["B", "S"]], [], None) == [query]
    else:  # expressions of dimensions are TensorRT's to make
        (shape,) = plugin.get_output_shapes([setting.library.DimsExprs(4)], [], None)
        assert len(shape) == 4


@pytest.mark.parametrize("with_plan", [False, True])
@pytest.mark.parametrize("dtype", ["HALF", "BF16", "FLOAT"])
def test_dense_tensors_of_three_types_are_taken(
    setting: Setting, dtype: str, with_plan: bool
) -> None:
    inputs = setting.described(setting.dynamic, with_plan=with_plan, dtype=dtype)
    tensors, count = [*inputs, setting.dynamic(HEADS, dtype)], len(inputs)
    plugin = setting.plugin()
    for position in range(count + 1):
        assert plugin.supports_format_combination(position, tensors, count)


@pytest.mark.parametrize("position", range(6))
def test_tensors_of_other_types_and_formats_are_not_taken(setting: Setting, position: int) -> None:
    inputs = setting.described(setting.dynamic, with_plan=True)
    tensors = [*inputs, setting.dynamic(HEADS)]
    plugin, desc = setting.plugin(), tensors[position].desc
    desc.type = setting.library.DataType.INT8
    tensors[position].desc = desc
    assert not plugin.supports_format_combination(position, tensors, 5)
    desc.type = setting.library.DataType.INT32 if position in (3, 4) else setting.desc(()).type
    desc.format = setting.library.TensorFormat.CHW32
    tensors[position].desc = desc
    assert not plugin.supports_format_combination(position, tensors, 5)


def test_a_build_gets_the_workspace_of_any_shape(setting: Setting) -> None:
    plugin, inputs = setting.plugin(), setting.described(setting.dynamic)
    plugin.configure_plugin(inputs, [])
    limit = workspace_limit(head_dim=64, tile_rows=32, num_sms=16)
    assert plugin.get_workspace_size(inputs, []) == limit


def test_a_build_for_which_there_are_no_kernels_fails(setting: Setting) -> None:
    inputs = setting.described(setting.dynamic, dtype="FLOAT")
    with pytest.raises(KernelFileError, match=r"^no kernel for compute capability 8\.7, float32"):
        setting.plugin().configure_plugin(inputs, [])


def test_a_build_may_run_in_a_thread_without_a_context(tmp_path: Path) -> None:
    setting = Setting(FakeTensorRT(), tmp_path)
    setting.driver.context = 0
    setting.plugin().configure_plugin(setting.described(setting.dynamic), [])
    with pytest.raises(KernelFileError, match=r"^no kernel for any compute capability, float32"):
        setting.plugin().configure_plugin(setting.described(setting.dynamic, dtype="FLOAT"), [])


def test_a_build_with_a_plan_too_short_for_the_longest_source_fails(setting: Setting) -> None:
    inputs = setting.described(setting.dynamic, with_plan=True, dtype="BF16")
    inputs[4] = setting.dynamic((4, 3), "INT32")
    with pytest.raises(SpecificationError, match=r"^the plan has 1 rows per head, "):
        setting.plugin().configure_plugin(inputs, [])


def test_a_build_with_shapes_that_are_not_the_operators_fails(setting: Setting) -> None:
    inputs = setting.described(setting.dynamic)
    inputs[1] = setting.dynamic((2, 8, 4096, 64))
    message = r"^key is \[2, 8, 1, 64\], expected \[2, 4, 1, 64\]$"
    with pytest.raises(SpecificationError, match=message):
        setting.plugin().configure_plugin(inputs, [])


@pytest.mark.parametrize("with_plan", [False, True])
def test_both_kernels_are_put_into_the_stream(setting: Setting, with_plan: bool) -> None:
    plugin = setting.plugin().attach_to_context(None)
    dtype = "BF16" if with_plan else "HALF"
    plugin.on_shape_change(setting.described(setting.desc, with_plan=with_plan, dtype=dtype), [])
    plugin.set_tactic(0)
    addresses = [0x10, 0x20, 0x30, 0x40, 0x50][: 5 if with_plan else 4]
    plugin.enqueue([], [], addresses, [0x60], 0x70, STREAM)
    attend, combine = setting.driver.launched
    assert (attend.kernel, combine.kernel, attend.stream) == (ATTEND, COMBINE, STREAM)
    assert list(attend.values[: len(addresses)]) == addresses
    assert attend.values[-2:] == (0x60, 0x70)
    assert attend.values[len(addresses) : len(addresses) + 5] == (
        *(4096, 4, 704),
        62 if with_plan else 0,
        2,
    )


def test_nothing_is_put_into_a_stream_before_the_shapes_are_known(setting: Setting) -> None:
    message = r"^TensorRT enqueued before it gave the shapes of the inputs$"
    with pytest.raises(PluginError, match=message):
        setting.plugin().enqueue([], [], [0x10, 0x20, 0x30, 0x40], [0x60], 0x70, STREAM)


def test_what_goes_wrong_is_logged(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    phase = setting.library.TensorRTPhase.BUILD
    with pytest.raises(SpecificationError, match=r"^the node lacks scale: "):
        setting.creator.create_plugin("node", setting.fields(scale=None), phase)
    assert "BlockSparseAttention: create_plugin: the node lacks scale" in caplog.text


def test_an_engine_that_lacks_its_workspace_is_not_loaded(setting: Setting) -> None:
    message = r"^the engine lacks workspace_rows: build it again$"
    with pytest.raises(PluginError, match=message):
        setting.loaded(setting.fields())


def test_more_kernels_are_added_and_the_newest_win(tmp_path: Path) -> None:
    setting = Setting(FakeTensorRT(), tmp_path)
    more = tmp_path / "more.kernels"
    write_kernel_file(more, kernel_file(HALF, tile_rows=64))
    register_python_plugin(setting.library, more, driver=setting.driver)
    assert len(setting.library.registry.creators) == 1
    fields = setting.plugin().get_fields_to_serialize()
    assert [x.data.tolist() for x in fields if x.name == "workspace_rows"] == [[16 * 64]]
    plugin = setting.plugin()
    plugin.on_shape_change(setting.described(setting.desc), [])
    plugin.enqueue([], [], [0x10, 0x20, 0x30, 0x40], [0x60], 0x70, STREAM)
    assert setting.driver.launched[0].grid == (2 * 4 * (2 * 4 + 62), 1, 1)


def test_a_tensorrt_that_lacks_the_classes_is_told_what_to_install(tmp_path: Path) -> None:
    library = FakeTensorRT().without("IPluginV3OneBuild", "IPluginCreatorV3One")
    message = (
        r"^tensorrt lacks IPluginV3OneBuild, IPluginCreatorV3One, which Python plugins need: "
        r"install TensorRT 10 or later, pip install 'pegasus-edge\[trt\]'$"
    )
    with pytest.raises(PluginError, match=message):
        register_python_plugin(library, tmp_path / "none.kernels")


def test_an_operator_that_is_already_there_is_not_replaced(tmp_path: Path) -> None:
    library = FakeTensorRT()
    library.registry.register_creator(object(), NAMESPACE)
    message = (
        r"^tensorrt has a plugin pegasus::BlockSparseAttention already: choose one way to bring it "
        r"in per process$"
    )
    with pytest.raises(PluginError, match=message):
        Setting(library, tmp_path)


@pytest.mark.parametrize(
    "name",
    [*NEEDED_CLASSES, "PluginField", "PluginFieldCollection", "PluginFieldCollection_"],
)
def test_the_stand_in_has_names_of_the_bindings(name: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    assert hasattr(FakeTensorRT, name)
    assert hasattr(importlib.import_module("tensorrt_rtx"), name)
