"""The ahead-of-time plugin: its description, its launch, and the kernel that is compiled for it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pegasus_plugins import compile_kernels
from pegasus_plugins.aot_plugin import (
    aot_arguments,
    aot_constants,
    compile_aot,
    register_aot_plugin,
)
from pegasus_plugins.compile_kernels import compiler_environment
from pegasus_plugins.kernel_file import KernelVariant
from pegasus_plugins.plugin_error import PluginError
from pegasus_plugins.specification import AttentionSpec, SpecificationError
from pegasus_plugins.tuning import Tuning
from plugins.fake_plugin_module import FakePluginModule, SymInt32, TensorDesc, attribute
from plugins.fake_tensorrt import DataType, FakeTensorRT
from plugins.kernel_images import HALF, PLANNED

SPEC = AttentionSpec(num_heads=4, block_size=64, num_random_blocks=3, longest_full=704, scale=0.125)
VALUES = {
    "num_heads": 4,
    "block_size": 64,
    "num_random_blocks": 3,
    "longest_full": 704,
    "scale": 0.125,
}
PLUGIN_ID = "pegasus::BlockSparseAttention"


@dataclass(frozen=True)
class Kernel:
    text: str
    num_warps: int = 8
    shared_bytes: int = 4096
    tile_rows: int = 32


def compile_nothing(spec: AttentionSpec, variant: KernelVariant, capability: str) -> Kernel:
    assert spec == SPEC
    return Kernel(f"{variant.dtype}, {variant.plan_columns}, {capability}")


class Setting:
    """A TensorRT to which the plugin was made known."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, with_plan: bool = False) -> None:
        self.library = FakeTensorRT()
        self.module = FakePluginModule()
        monkeypatch.setitem(sys.modules, "tensorrt", self.library)
        monkeypatch.setitem(sys.modules, "tensorrt.plugin", self.module)
        self.register(with_plan=with_plan)
        self.definition = self.module.definitions[PLUGIN_ID]

    def register(self, **options: Any) -> None:
        register_aot_plugin(
            self.library,
            **{"compile_kernel": compile_nothing, "capability": lambda: "8.7", **options},
        )

    def attributes(self) -> dict[str, Any]:
        return {
            name: attribute(annotation, VALUES[name])
            for name, annotation in self.definition.attributes.items()
        }

    def implement(self, tensors: list[TensorDesc]) -> Any:
        assert self.definition.implement is not None
        return self.definition.implement(*tensors, *self.attributes().values(), [tensors[0]], 0)


def tensor(*shape: int | str, dtype: DataType = DataType.HALF) -> TensorDesc:
    return TensorDesc(dtype, [SymInt32(x) for x in shape])


def inputs(dtype: DataType = DataType.HALF) -> list[TensorDesc]:
    heads = tensor("B", 4, "S", 64, dtype=dtype)
    return [heads, heads, heads, tensor("B", "S", dtype=DataType.INT32)]


def test_the_description_names_inputs_and_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = Setting(monkeypatch).definition
    assert definition.tensors == ["query", "key", "value", "key_mask"]
    assert list(definition.attributes) == list(VALUES)


def test_the_output_is_like_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(monkeypatch)
    tensors = inputs()
    (output,) = setting.definition.describe(*tensors, **setting.attributes())
    assert output == tensors[0]
    assert output is not tensors[0]


def test_a_launch_has_a_program_for_each_tile_and_gets_the_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, ptx, launch, extra = Setting(monkeypatch).implement(inputs())
    assert (name, ptx) == ("attend_blocks", "float16, 0, 8.7")
    assert launch.grid_x.value == "((B * 8) * cdiv(S, 64))"
    assert (launch.block_x, launch.shared_mem) == (256, 4096)
    assert [x.value for x in extra] == ["S"]


def test_with_a_plan_a_launch_gets_its_rows_per_head_too(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(monkeypatch, with_plan=True)
    assert setting.definition.tensors[-1] == "plan"
    planned = [*inputs(DataType.BF16), tensor("L", 3, dtype=DataType.INT32)]
    _, ptx, _, extra = setting.implement(planned)
    assert ptx == "bfloat16, 3, 8.7"
    assert [x.value for x in extra] == ["S", "(L // 4)"]


def test_inputs_that_the_operator_does_not_take_are_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SpecificationError, match=r"^query is INT8, expected one of float16"):
        Setting(monkeypatch).implement(inputs(DataType.INT8))
    assert "BlockSparseAttention: implement: query is INT8" in caplog.text


def test_a_head_dim_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = tensor("B", 4, "S", "D")
    tensors = [heads, heads, heads, tensor("B", "S", dtype=DataType.INT32)]
    message = (
        r"^the last dimension of query or plan is not known, expected a model with fixed ones$"
    )
    with pytest.raises(SpecificationError, match=message):
        Setting(monkeypatch).implement(tensors)


def test_attributes_that_the_operator_does_not_take_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = Setting(monkeypatch)
    attributes = setting.attributes()
    del attributes["scale"]
    with pytest.raises(SpecificationError, match=r"^the node lacks scale: "):
        setting.definition.describe(*inputs(), **attributes)


def test_registering_again_does_nothing_unless_it_would_be_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = Setting(monkeypatch)
    setting.register()
    message = (
        r"^tensorrt has pegasus::BlockSparseAttention already, for nodes without a plan: TensorRT "
        r"takes one kind per process, start another$"
    )
    with pytest.raises(PluginError, match=message):
        setting.register(with_plan=True)


def test_a_plugin_that_somebody_else_registered_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = Setting(monkeypatch)
    setting.library = FakeTensorRT()
    message = r"^tensorrt does not take pegasus::BlockSparseAttention: already has a definition$"
    with pytest.raises(PluginError, match=message):
        setting.register()


def test_a_tensorrt_without_such_plugins_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt.plugin", None)
    message = r"^tensorrt\.plugin cannot be imported \(.*\): install TensorRT 10\.9 or later, pip "
    with pytest.raises(PluginError, match=message):
        register_aot_plugin(FakeTensorRT())
    setting = Setting(monkeypatch)
    setting.library = FakeTensorRT()
    monkeypatch.delattr(FakePluginModule, "aot_impl")
    message = r"^tensorrt\.plugin has no aot_impl: install TensorRT 10\.9 or later, pip install "
    with pytest.raises(PluginError, match=message):
        setting.register()


def test_without_triton_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    message = (
        r"^triton is not installed, which compiles the kernels of engines: pip install "
        r"'pegasus-edge\[plugin\]' \(on Linux\), or choose another way to bring the plugin in$"
    )
    with pytest.raises(PluginError, match=message):
        compile_aot(SPEC, HALF, "8.7")


def compiling_to(monkeypatch: pytest.MonkeyPatch, bytes_per_stage: int) -> list[int]:
    """Kernels whose shared memory grows with the stages; returns the stages that were tried."""
    tried: list[int] = []

    def compile_ptx(*_: object, tuning: Tuning, **__: object) -> Kernel:
        tried.append(tuning.num_stages)
        return Kernel(text="", shared_bytes=bytes_per_stage * tuning.num_stages)

    monkeypatch.setattr(compile_kernels, "compile_ptx", compile_ptx)
    return tried


def test_a_kernel_takes_no_more_shared_memory_than_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = compiling_to(monkeypatch, 20_000)
    assert compile_aot(SPEC, HALF, "9.0").shared_bytes == 40_000
    assert tried == [3, 2]


def test_a_kernel_that_is_too_large_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    compiling_to(monkeypatch, 50_000)
    message = "head dim 64 and blocks of 64 takes 50000 bytes of shared memory, an ahead-of-time "
    with pytest.raises(PluginError, match=message):
        compile_aot(SPEC, HALF, "9.0")


def test_what_tensorrt_cannot_pass_is_compiled_in() -> None:
    assert aot_constants(SPEC, HALF) == {
        "num_heads": 4,
        "longest_full": 704,
        "plan_rows": 0,
        "num_splits": 1,
        "scale": 0.125,
        "first_bias": pytest.approx(math.log(4)),
        "partial": None,
    }
    planned = aot_constants(SPEC, PLANNED)
    assert "plan_rows" not in planned
    assert planned["first_bias"] == 0.0


COMPILE = """
import json, sys
from pegasus_plugins.aot_plugin import compile_aot
from pegasus_plugins.kernel_file import KernelVariant
from pegasus_plugins.specification import AttentionSpec
spec, variant = (kind(**facts) for kind, facts in zip(
    (AttentionSpec, KernelVariant), json.loads(sys.argv[1])))
print(compile_aot(spec, variant, "8.7").text)
"""


@pytest.mark.parametrize("plan_columns", [0, 3])
def test_the_compiled_kernel_has_the_arguments_that_tensorrt_passes(
    plan_columns: int, tmp_path: Path
) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    facts = {"dtype": "float16", "head_dim": 64, "block_size": 64, "plan_columns": plan_columns}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, json.dumps([VALUES, facts])],
        cwd=tmp_path,
        env=compiler_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"\.entry\s+attend_blocks\(([^)]*)\)", done.stdout)
    assert found is not None
    kinds = ["pointer" if ".u64 .ptr" in x else x.split()[1] for x in found[1].split(",")]
    names = aot_arguments(
        KernelVariant(dtype="float16", head_dim=64, block_size=64, plan_columns=plan_columns)
    )
    assert kinds == [".u32" if x in ("length", "plan_rows") else "pointer" for x in names]
