"""generate_text.onnx: the graph that generates, with text in front and behind."""

import dataclasses

import onnx
import onnx_ir as ir

from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.generation.compose import GENERATE
from pegasus_export.passes.put_text_around import check_text, put_text_around
from pegasus_export.stages.graph_files import graph_spec
from pegasus_export.tokenizer.plan import plan_tokenizer
from pegasus_export.verify.text_graph import verify_text_graph
from pegasus_runtime.bundle import Bundle, Manifest
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["TEXT_GRAPH", "add_text_graph", "check_text_graph"]

TEXT_GRAPH = "generate_text"


def check_text_graph(checkpoint: Checkpoint) -> None:
    """Before anything is built. Raises: UnsupportedError."""
    check_text(plan_tokenizer(checkpoint))


def add_text_graph(checkpoint: Checkpoint, bundle: Bundle) -> tuple[Manifest, tuple[str, ...]]:
    """Puts it beside generate.onnx, whose weights are its own, and runs it.

    Returns the manifest with it, and notes. Raises: UnsupportedError, VerificationError.
    """
    planned = check_text(plan_tokenizer(checkpoint))
    spec, limits = bundle.manifest.tokenizer, bundle.manifest.limits
    assert spec is not None  # of every tokenizer that was planned
    inner = bundle.path(bundle.manifest.graphs[GENERATE].file)
    model = onnx.load(inner, load_external_data=False)
    put_text_around(
        model,
        planned,
        max_source_tokens=limits.max_source_tokens,
        vocab_size=bundle.manifest.architecture.vocab_size,
    )
    path = inner.with_name(inner.name.replace(GENERATE, TEXT_GRAPH, 1))
    path.write_bytes(model.SerializeToString(deterministic=True))
    was_run = verify_text_graph(
        path,
        inner,
        Tokenizer.load(bundle.path(spec.file), spec),
        max_source_tokens=limits.max_source_tokens,
        max_length=limits.max_target_tokens,
    )
    library = "onnxruntime-extensions, whose operators it has"
    notes = () if was_run else (f"{path.name} was not run: {library}, is not installed",)
    ends = onnx.helper.make_graph([], TEXT_GRAPH, model.graph.input, model.graph.output)
    outline = ir.from_proto(onnx.helper.make_model(ends))  # as a vocabulary is no attribute to IR
    graphs = {**bundle.manifest.graphs, TEXT_GRAPH: graph_spec(path.name, outline)}
    return dataclasses.replace(bundle.manifest, graphs=graphs), notes
