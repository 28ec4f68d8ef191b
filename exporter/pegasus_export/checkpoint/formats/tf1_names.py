"""The variables of the original TF1 releases under the names that transformers' classes have.

Source: google-research/pegasus and google-research/bigbird; which tensors are transposed, and what
is left out, as in transformers' published conversions of both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["TorchName", "is_training_state", "torch_name"]

_STATE: Final = re.compile(
    r"global_step|beta[12]_power|.*/(Adafactor|Adam|AdamWeightDecayOptimizer)(_\w+)?"
)
_VARIABLE: Final = re.compile(
    r"(?P<scope>pegasus/)?(?P<stack>encoder|decoder)/(?:layer_(?P<layer>\d+)/)?"
    r"(?P<module>\w+(?:/\w+)*?)/(?P<kind>kernel|bias|gamma|beta)"
)
_PEGASUS: Final[Mapping[str, str]] = {
    **{f"self_attention/{x}_proj": f"self_attn.{x}_proj" for x in "qkv"},
    **{f"memory_attention/{x}_proj": f"encoder_attn.{x}_proj" for x in "qkv"},
    "self_attention/output_proj": "self_attn.out_proj",
    "memory_attention/output_proj": "encoder_attn.out_proj",
    "self_attention/LayerNorm": "self_attn_layer_norm",
    "memory_attention/LayerNorm": "encoder_attn_layer_norm",
    "ffn/dense": "fc1",
    "ffn/dense_1": "fc2",
    "ffn/LayerNorm": "final_layer_norm",
}
_BIGBIRD: Final[Mapping[str, str]] = {
    **{f"attention/encdec/{x}": f"encoder_attn.{x[0]}_proj" for x in ("query", "key", "value")},
    "attention/encdec_output/dense": "encoder_attn.out_proj",
    "attention/self/LayerNorm": "self_attn_layer_norm",
    "attention/encdec/LayerNorm": "encoder_attn_layer_norm",
    "intermediate/dense": "fc1",
    "output/dense": "fc2",
    "intermediate/LayerNorm": "final_layer_norm",
}
_BIGBIRD_SELF: Final[Mapping[str, Mapping[str, str]]] = {
    "encoder": {
        **{f"attention/self/{x}": f"self_attn.self.{x}" for x in ("query", "key", "value")},
        "attention/output/dense": "self_attn.output",
    },
    "decoder": {
        **{f"attention/self/{x}": f"self_attn.{x[0]}_proj" for x in ("query", "key", "value")},
        "attention/output/dense": "self_attn.out_proj",
    },
}
_KINDS: Final = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchName:
    """What a variable is called in torch, and how it differs there.

    transposed: it is a kernel: torch has outputs x inputs. zeroed_row: of padding, which PEGASUS'
    conversion makes zero, and BigBird's does not. needs_bias: PEGASUS has no biases in its
    attention, and transformers' class has. may_lack: the other way round, of BigBird.
    """

    names: tuple[str, ...]
    transposed: bool = False
    zeroed_row: int | None = None
    needs_bias: bool = False
    may_lack: bool = False


_EMBEDDINGS: Final[Mapping[str, TorchName]] = {
    "embeddings/weights": TorchName(names=("model.shared.weight",), zeroed_row=0),
    "pegasus/embeddings/word_embeddings": TorchName(names=("model.shared.weight",)),
    "pegasus/embeddings/position_embeddings": TorchName(
        names=("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")
    ),
}


def is_training_state(variable: str) -> bool:
    """Whether a variable is the optimizer's, or counts steps."""
    return _STATE.fullmatch(variable) is not None


def torch_name(variable: str) -> TorchName | None:
    """What a variable is called in torch; None if neither PEGASUS nor BigBird has such a one."""
    match = _VARIABLE.fullmatch(variable)
    module = _find_module(match) if match else None
    if match is None or module is None:
        return _EMBEDDINGS.get(variable)
    kind, is_bigbird = match["kind"], bool(match["scope"])
    # A LayerNorm has gamma and beta, a dense layer kernel and bias.
    if (kind in ("gamma", "beta")) != match["module"].endswith("LayerNorm"):
        return None
    is_attention = "_attn." in module
    return TorchName(
        names=(f"model.{match['stack']}.{module}.{_KINDS[kind]}",),
        transposed=kind == "kernel",
        needs_bias=is_attention and kind == "kernel" and not is_bigbird,
        may_lack=is_attention and kind == "bias" and is_bigbird,
    )


def _find_module(match: re.Match[str]) -> str | None:
    """The module within its stack, as `layers.0.fc1`."""
    is_bigbird, stack, layer = bool(match["scope"]), match["stack"], match["layer"]
    if layer is None:
        norm = "layernorm_embedding" if is_bigbird else "layer_norm"
        return norm if match["module"] == "LayerNorm" else None
    modules = {**_BIGBIRD, **_BIGBIRD_SELF[stack]} if is_bigbird else _PEGASUS
    module = modules.get(match["module"])
    return module and f"layers.{int(layer)}.{module}"
