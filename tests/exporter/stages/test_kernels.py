"""Exports for target trt, whose sparse attention is a plugin's: its tokens, and its kernels."""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_engines.plans.build import BuildRequest
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.errors import UnsupportedError
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_export.stages.kernels import ChosenPlugin, KernelCompilation, choose_plugin
from pegasus_plugins.kernel_file import KernelVariant, read_kernel_file
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.bundle import Bundle, PluginSpec, open_bundle

SEQ2SEQ = "BigBirdPegasusForConditionalGeneration"
SIZES: dict[str, Any] = {  # the smallest that there are kernels for; in full up to 112 tokens
    "d_model": 64,
    "block_size": 16,
    "num_random_blocks": 1,
    "max_position_embeddings": 256,
}
PLANS = PlanRequest(onnx_only=True, build=BuildRequest(compute_capabilities=("8.7",)))
LENGTHS = (1, 16, 100, 112, 113, 128, 131, 200, 256)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    return write_tiny_checkpoint(folder, architecture=SEQ2SEQ, sharpness=6.0, **SIZES)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Callable[..., Bundle]:
    """(how, pattern, precision) -> the graphs of target trt."""

    @cache
    def make(how: str | None, pattern: str, precision: str) -> Bundle:
        request = ExportRequest(
            model=str(checkpoint),
            output=tmp_path_factory.mktemp("bundles") / "bundle",
            target="trt",
            precision=precision,
            random_blocks=pattern,
            block_sparse=how,
            plans=PLANS,
        )
        return export_bundle(request).bundle

    return lambda how, pattern="hf-eval", precision="fp32": make(how, pattern, precision)


@pytest.mark.parametrize("pattern", ["hf-eval", "seeded"])
def test_the_plugin_gives_the_tokens_of_plain_operators(
    export: Callable[..., Bundle], pattern: str
) -> None:
    plugin, plain = export("plugin", pattern), export("plain", pattern)
    rng = np.random.default_rng(1)
    vocab_size = plain.manifest.architecture.vocab_size
    sources = [[*rng.integers(2, vocab_size, length - 1).tolist(), 1] for length in LENGTHS]
    options = GenerationOptions(num_beams=3, max_length=12)
    found = []
    for bundle in (plugin, plain):
        with Summarizer.load(bundle.folder, provider="cpu", threads=1) as summarizer:
            found.append([summarizer.generate([source], options)[0][0] for source in sources])
    assert [x.token_ids for x in found[0]] == [x.token_ids for x in found[1]]
    assert len({x.token_ids for x in found[0]}) > 1
    np.testing.assert_allclose([x.score for x in found[0]], [x.score for x in found[1]], atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_node_is_a_function_of_the_very_file(
    export: Callable[..., Bundle], precision: str
) -> None:
    bundle = export("plugin" if precision == "fp32" else None, "hf-eval", precision)
    model = onnx.load(bundle.path("encoder.onnx"), load_external_data=False)
    nodes = [node for node in model.graph.node if node.domain == "pegasus"]
    assert [node.op_type for node in nodes] == ["BlockSparseAttention"] * 2
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in nodes[0].attribute}
    assert attributes == {
        "num_heads": 2,
        "block_size": 16,
        "num_random_blocks": 1,
        "longest_full": 112,
        "scale": pytest.approx(32**-0.5),
        "plugin_namespace": b"pegasus",
        "plugin_version": b"1",
    }
    assert [(each.domain, each.name) for each in model.functions] == [
        ("pegasus", "BlockSparseAttention")
    ]
    assert [each.name for each in bundle.manifest.graphs["encoder"].inputs][:2] == [
        "input_ids",
        "attention_mask",
    ]
    assert not any("seen" in each.name for each in bundle.manifest.graphs["encoder"].inputs)


@pytest.mark.parametrize(("pattern", "columns"), [("hf-eval", 0), ("seeded", 1)])
def test_the_kernels_that_it_needs_come_along(
    export: Callable[..., Bundle], pattern: str, columns: int
) -> None:
    bundle = open_bundle(export("plugin", pattern).folder, check_hashes=True)
    plans = bundle.manifest.plans
    assert plans is not None
    name = "block_sparse_attention.kernels"
    assert plans.plugin == PluginSpec(
        operator="pegasus::BlockSparseAttention", version="1", kernels=name
    )
    images = read_kernel_file(bundle.path(name)).images
    assert {x.kernel for x in images} == {"attend_blocks", "combine_splits"}
    assert {x.capability for x in images} == {"8.7"}
    (variant,) = {x.variant for x in images}
    assert (variant.dtype, variant.head_dim) == ("float32", 32)
    assert (variant.block_size, variant.plan_columns) == (16, columns)


def test_plain_operators_need_no_kernels(export: Callable[..., Bundle]) -> None:
    manifest = export("plain").manifest
    assert manifest.plans is not None
    assert manifest.plans.plugin is None
    assert not any(name.endswith(".kernels") for name in manifest.files)
    assert "seen_blocks" in [each.name for each in manifest.graphs["encoder"].inputs]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"target": "trt-rtx", "block_sparse": "plugin"}, "TensorRT for RTX takes no plugins: use --b"),
    ({"target": "ort", "block_sparse": "plain"}, "--block-sparse is for targets trt and trt-rtx"),
    ({"block_sparse": "dense"}, "--block-sparse is 'dense', expected plugin or plain"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_what_cannot_be_is_refused(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        ExportRequest(model="any", output=tmp_path, **{"target": "trt", **fields})


@pytest.mark.parametrize("how", ["plugin", "plain"])
def test_the_choice_is_for_sparse_attention_only(
    tmp_path: Path, tiny_checkpoint: Callable[[str], Path], how: str
) -> None:
    request = ExportRequest(
        model=str(tiny_checkpoint("PegasusForConditionalGeneration")),
        output=tmp_path / "bundle",
        target="trt",
        block_sparse=how,
        plans=PLANS,
    )
    with pytest.raises(UnsupportedError, match="--block-sparse is for block-sparse encoders, whi"):
        export_bundle(request)


def test_sizes_without_kernels_are_not_replaced_in_silence(
    tmp_path: Path, tiny_checkpoint: Callable[[str], Path]
) -> None:
    model = str(tiny_checkpoint(SEQ2SEQ))
    request = ExportRequest(model=model, output=tmp_path / "bundle", target="trt", plans=PLANS)
    with pytest.raises(UnsupportedError, match=r"no kernel .* 16: use --block-sparse plain"):
        export_bundle(request)
    assert not (tmp_path / "bundle").exists()


def test_without_triton_the_export_says_what_to_do(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "triton" else found(name)
    )
    request = ExportRequest(model=str(checkpoint), output=tmp_path, target="trt", plans=PLANS)
    with pytest.raises(UnsupportedError, match=r"edge\[plugin\]' .*, or use --block-sparse plain"):
        choose_plugin(request, open_checkpoint(request.model))


def test_kernels_that_cannot_be_compiled_are_said_so(checkpoint: Path, tmp_path: Path) -> None:
    plans = PlanRequest(onnx_only=True, build=BuildRequest(compute_capabilities=("1.0",)))
    request = ExportRequest(model=str(checkpoint), output=tmp_path, target="trt", plans=plans)
    plugin = choose_plugin(request, open_checkpoint(request.model))
    with (
        KernelCompilation(plugin, tmp_path) as kernels,
        pytest.raises(UnsupportedError, match=r"cannot be compiled: .*: use --block-sparse plain"),
    ):
        kernels.write(tmp_path / "kernels")
    assert not (tmp_path / "kernels").exists()


def test_a_compilation_that_nobody_waits_for_is_ended(checkpoint: Path, tmp_path: Path) -> None:
    request = ExportRequest(model=str(checkpoint), output=tmp_path, target="trt", plans=PLANS)
    plugin = choose_plugin(request, open_checkpoint(request.model))
    with KernelCompilation(plugin, tmp_path) as kernels:
        process = kernels._process
    assert process is not None
    assert process.returncode is not None


def test_the_compiler_imports_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets as far as to refuse a GPU that there is none of."""
    for name in ("argparse", "re", "tempfile", "triton", "pegasus_plugins"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hostile')")
    monkeypatch.chdir(tmp_path)
    plugin = ChosenPlugin(
        spec=PluginSpec(operator="a::b", version="1", kernels="c"),
        variant=KernelVariant(dtype="float16", head_dim=64, block_size=16, plan_columns=0),
        capabilities=("0.0",),
    )
    with (
        KernelCompilation(plugin, tmp_path) as compilation,
        pytest.raises(
            UnsupportedError, match=r"kernels cannot be compiled: .*invalid choice: '0\.0'"
        ),
    ):
        compilation.write(tmp_path / "kernels")
