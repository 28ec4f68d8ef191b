"""Plans of the demo checkpoints, built by TensorRT for RTX for three GPUs on a machine without one.

What only a GPU can do (deserialise a plan, run it) is not tested here; what stands in the way must
then be the driver, and not the plan.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pegasus_engines.inspect.bundle import compare_plans, example_feeds
from pegasus_engines.inspect.lint import lint_graph
from pegasus_engines.plans.build import DESKTOP_CAPABILITIES, BuildRequest, build_bundle
from pegasus_engines.plans.tensorrt import parse_graph
from pegasus_engines.plans.watch import record_build
from pegasus_export.errors import UnsupportedError
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime import Summarizer
from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.native.gpu import current_capability
from pegasus_runtime.native.tensorrt import load_flavour
from pegasus_runtime.sessions.host.graph import load_host_graphs

CHECKPOINTS = Path(__file__).parents[3] / "examples" / "checkpoints"
MODELS = ("pegasus-mini", "bigbird-mini")
PRECISIONS = ("fp16", "int8", "int4")
Graphs = Callable[[str, str], Bundle]

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    """(checkpoint, precision) -> its graphs for TensorRT for RTX."""

    @cache
    def export(model: str, precision: str) -> Bundle:
        request = ExportRequest(
            model=str(CHECKPOINTS / model),
            output=tmp_path_factory.mktemp("graphs") / f"{model}-{precision}",
            target="trt-rtx",
            precision=precision,
            plans=PlanRequest(onnx_only=True),
        )
        return export_bundle(request).bundle

    return export


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", MODELS)
def test_plans_are_built_for_three_gpus(
    graphs: Graphs, model: str, precision: str, tmp_path: Path
) -> None:
    bundle = graphs(model, precision)
    assert open_bundle(bundle.folder).manifest.plans.version is None
    build_bundle(bundle.folder, tmp_path / "plans")
    built = open_bundle(tmp_path / "plans", check_hashes=True)
    plans = built.manifest.plans
    assert plans is not None
    assert plans.version == load_flavour("trt-rtx").version
    assert plans.compute_capabilities == DESKTOP_CAPABILITIES == ("8.6", "8.9", "12.0")
    assert plans.profiles == bundle.manifest.plans.profiles
    assert set(built.manifest.files) == {
        "decoder_step.plan",
        "encoder.plan",
        "spiece.model",
        "tables.bin",
    }
    for name, spec in built.manifest.graphs.items():
        before = bundle.manifest.graphs[name]
        assert (spec.inputs, spec.outputs) == (before.inputs, before.outputs)
    if current_capability() is None:
        with pytest.raises(EngineError, match="no NVIDIA driver was found: install it"):
            Summarizer.load(built.folder)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", MODELS)
def test_tensorrt_reads_the_inputs_and_outputs_of_the_manifest(
    graphs: Graphs, model: str, precision: str
) -> None:
    flavour, bundle = load_flavour("trt-rtx"), graphs(model, precision)
    for name, spec in bundle.manifest.graphs.items():
        path = bundle.path(spec.file)
        with record_build(flavour.module, None) as (logger, log):
            builder = flavour.module.Builder(logger)
            network = parse_graph(flavour, builder, path, logger, log)
            inputs = [network.get_input(i) for i in range(network.num_inputs)]
            outputs = [network.get_output(i) for i in range(network.num_outputs)]
            for tensors, expected in ((inputs, spec.inputs), (outputs, spec.outputs)):
                got = {x.name: np.dtype(flavour.module.nptype(x.dtype)).name for x in tensors}
                assert got == {x.name: x.dtype for x in expected}, name
            del network, builder


@pytest.mark.parametrize("model", MODELS)
def test_graphs_lint_clean(graphs: Graphs, model: str) -> None:
    bundle = graphs(model, "fp16")
    for name, spec in bundle.manifest.graphs.items():
        profile = bundle.manifest.plans.profiles[name][0]
        feeds = example_feeds(bundle, name, profile)
        shapes = {each: array.shape for each, array in feeds.items()}
        assert lint_graph(bundle.path(spec.file), shapes) == ()


@pytest.mark.parametrize("model", MODELS)
def test_examples_of_inputs_run(graphs: Graphs, model: str) -> None:
    """Those that --compare gives to both engines."""
    bundle = graphs(model, "fp16")
    for name, graph in load_host_graphs(bundle).items():
        for profile in bundle.manifest.plans.profiles[name][:4:3]:
            feeds = dict(example_feeds(bundle, name, profile))
            for array in graph.session.run(None, feeds):
                assert np.isfinite(array).all() or name == "decoder_step"
            assert not np.isnan(array).any()


def test_the_tables_of_plans_are_cut_from_the_weights(graphs: Graphs, tmp_path: Path) -> None:
    bundle = graphs("pegasus-mini", "fp16")
    built = build_bundle(
        bundle.folder, tmp_path / "plans", BuildRequest(compute_capabilities=("8.9",))
    )
    (name,) = built.manifest.tables
    rows = {}
    for each in (bundle, built):
        table = each.manifest.tables[name]
        rows[each.folder] = np.memmap(
            each.path(table.file), table.dtype, "r", table.offset, table.shape
        )
    np.testing.assert_array_equal(rows[bundle.folder], rows[built.folder])


def test_a_bundle_that_has_no_graphs_for_tensorrt_is_not_built(
    tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="is for target ort, which has no plans: export wi"):
        build_bundle(tiny_bundle(), tmp_path / "plans")
    with pytest.raises(BundleError, match=r"not a bundle: .* is not a folder"):
        build_bundle(tmp_path / "nothing", tmp_path / "plans")


def test_a_gpu_that_tensorrt_does_not_know_is_told_before_any_work(tmp_path: Path) -> None:
    request = ExportRequest(
        model=str(CHECKPOINTS / "pegasus-mini"),
        output=tmp_path / "b",
        target="trt-rtx",
        plans=PlanRequest(build=BuildRequest(compute_capabilities=("8.9", "3.5"))),
    )
    with pytest.raises(UnsupportedError, match=r"does not build for compute capability 3\.5: it"):
        export_bundle(request)
    assert list(tmp_path.iterdir()) == []


def test_comparing_needs_a_gpu_and_leaves_nothing_behind(graphs: Graphs, tmp_path: Path) -> None:
    if current_capability() is not None:
        pytest.skip("there is a GPU")

    def check(bundle: Bundle, plans: Path) -> None:
        compare_plans(bundle, plans)

    bundle = graphs("pegasus-mini", "fp16")
    with pytest.raises(EngineError, match="GPU"):
        build_bundle(bundle.folder, tmp_path / "plans", check=check)
    assert list(tmp_path.iterdir()) == []
