"""generate_text.onnx: the graph that generates, with text in front and behind."""

from typing import Final

import onnx

from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.errors import UnsupportedError
from pegasus_export.passes.put_text_around import check_text, put_text_around
from pegasus_export.tokenizer.plan import plan_tokenizer
from pegasus_export.verify.text_graph import verify_text_graph
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["TEXT_GRAPH", "check_text_graph", "write_text_graph"]

TEXT_GRAPH: Final = "generate_text.onnx"
"""Its weights are those of the graph that it is made of."""
_INNER: Final = "generate.onnx"


def check_text_graph(checkpoint: Checkpoint, *, generate: bool) -> None:
    """Before anything is built. generate: whether there will be a graph to put text around.

    Raises: UnsupportedError.
    """
    if not generate:
        raise UnsupportedError("--text puts text around generate.onnx: add --generate")
    check_text(plan_tokenizer(checkpoint))


def write_text_graph(checkpoint: Checkpoint, bundle: Bundle) -> tuple[str, ...]:
    """Puts it beside generate.onnx, runs it, and returns what there is to say of it.

    Raises: UnsupportedError, VerificationError.
    """
    planned = check_text(plan_tokenizer(checkpoint))
    spec, limits = bundle.manifest.tokenizer, bundle.manifest.limits
    assert spec is not None  # of every tokenizer that was planned
    inner = bundle.path(_INNER)
    model = onnx.load(inner, load_external_data=False)
    put_text_around(
        model,
        planned,
        max_source_tokens=limits.max_source_tokens,
        vocab_size=bundle.manifest.architecture.vocab_size,
    )
    path = inner.with_name(TEXT_GRAPH)
    path.write_bytes(model.SerializeToString(deterministic=True))
    was_run = verify_text_graph(
        path,
        inner,
        Tokenizer.load(bundle.path(spec.file), spec),
        max_source_tokens=limits.max_source_tokens,
        max_length=limits.max_target_tokens,
    )
    if was_run:
        return ()
    library = "onnxruntime-extensions, whose operators it has"
    return (f"{TEXT_GRAPH} was not run: {library}, is not installed",)
