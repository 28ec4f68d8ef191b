"""The numbers of a manifest against each other and against its graphs, before anything is sized
by them."""

import re

from pegasus_runtime.bundle.json_node import field_error
from pegasus_runtime.bundle.manifest import Manifest, TensorSpec

__all__ = ["check_sizes"]

_PER_LAYER = re.compile(r"(?:(?:past|present)_)?(self|cross)_(?:key|value)\.(\d+)")
_PADDING = 8  # a plan's vocabulary is rounded up to whole words

HEAD_WORDS = "head_words"
"""What the name begins with that the last dimension of keys and values has where it is the head
dim, or half of it: see `sessions/ort/halves.py`."""


def check_sizes(manifest: Manifest) -> None:
    """Raises: BundleError."""
    if manifest.target == "onnx":  # the names of whoever runs those
        return
    facts = manifest.architecture
    if facts.decoder_layers and facts.head_dim * facts.decoder_heads != facts.d_model:
        raise field_error(
            "architecture.decoder_heads", f"{facts.decoder_heads} of {facts.head_dim}", "d_model"
        )
    for name, graph in manifest.graphs.items():
        layers: set[int] = set()
        for tensor in (*graph.inputs, *graph.outputs):
            match = _PER_LAYER.fullmatch(tensor.name)
            if match is not None:
                layers.add(int(match[2]))
                _check_heads(name, tensor, facts.decoder_heads, facts.head_dim)
            elif tensor.name == "log_probs":
                _check_vocabulary(name, tensor, facts.vocab_size)
            elif tensor.name == "logits" and manifest.classifier is not None:
                _check_labels(name, tensor, len(manifest.classifier.labels))
        if layers and layers != set(range(facts.decoder_layers)):
            raise field_error(
                "architecture.decoder_layers", str(facts.decoder_layers), f"those of graph {name}"
            )


def _check_heads(graph: str, tensor: TensorSpec, heads: int, head_dim: int) -> None:
    shape = tensor.shape
    # Kernels may keep two halves in a word.
    if (
        len(shape) < 4
        or shape[1] != heads
        or not (shape[-1] == head_dim or str(shape[-1]).startswith(HEAD_WORDS))
    ):
        path = f"graphs.{graph}: shape of {tensor.name}"
        raise field_error(path, str(list(shape)), f"{heads} heads of {head_dim}")


def _check_labels(graph: str, tensor: TensorSpec, count: int) -> None:
    size = tensor.shape[-1] if tensor.shape else 0
    if isinstance(size, int) and size != count:
        raise field_error("classifier.labels", str(count), f"{size}, as graph {graph} has")


def _check_vocabulary(graph: str, tensor: TensorSpec, vocab_size: int) -> None:
    size = tensor.shape[-1] if tensor.shape else 0
    if isinstance(size, str) or not vocab_size <= size < vocab_size + _PADDING:
        path = f"graphs.{graph}: shape of {tensor.name}"
        raise field_error(path, str(list(tensor.shape)), f"a vocabulary of {vocab_size}")
