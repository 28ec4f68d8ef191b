"""Which layer of a network gets which format."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from pegasus_runtime.bundle import JsonValue

__all__ = ["PRECISIONS", "Format", "Layer", "PrecisionRecipe", "find_layers", "match_layers"]

Format: TypeAlias = Literal["fp32", "int8", "int4"]

PRECISIONS: Mapping[str, tuple[Format, Format]] = {
    "fp32": ("fp32", "fp32"),
    "int8": ("int8", "int8"),
    # The head decides between 96103 tokens: it keeps 8 bits, and is stored with the embedding.
    "int4": ("int4", "int8"),
}
"""Precision -> format of the linear layers, format of embedding and head."""

_LINEAR = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
_FUSED = ("q_proj", "k_proj", "v_proj")
_TABLES = ("model.shared", "model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What a recipe decides about as one: a linear layer, some that read the same, or a table."""

    name: str
    """Of the module; `...self_attn.qkv_proj` for the three projections of a self-attention."""
    modules: tuple[str, ...]
    """Names in the checkpoint, in the order of their outputs."""
    is_table: bool
    """Whether its rows are looked up by token: an embedding, or the head that shares it."""

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the weight matrices."""
        return tuple(f"{module}.weight" for module in self.modules)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionRecipe:
    """A precision, and the layers that it leaves as they are."""

    precision: str
    """A key of PRECISIONS."""
    kept: frozenset[str] = frozenset()
    """Names of layers that stay fp32."""
    fuses_projections: bool = True
    """Whether the projections of a self-attention become one product, in fp32 too."""

    def format_of(self, layer: Layer) -> Format:
        """The format that a layer is stored and computed in."""
        if layer.name in self.kept:
            return "fp32"
        linear, table = PRECISIONS[self.precision]
        return table if layer.is_table else linear

    def changes(self, layer: Layer) -> bool:
        """Whether a layer is stored otherwise than in the checkpoint."""
        is_fused = self.fuses_projections and len(layer.modules) > 1
        return is_fused or self.format_of(layer) != "fp32"

    def describe(self) -> dict[str, JsonValue]:
        """What the manifest says of it."""
        linear, table = PRECISIONS[self.precision]
        if self.precision == "fp32":
            return {}
        return {
            "linear": _DESCRIPTIONS[linear],
            "embedding_and_head": _DESCRIPTIONS[table],
            "kept_fp32": sorted(self.kept),
        }


_DESCRIPTIONS: Mapping[Format, str] = {
    "fp32": "fp32",
    "int8": "int8 weights, a scale per output channel; activations 8 bits, a scale per tensor",
    "int4": "int4 weights, a scale per 32 inputs; activations 8 bits, a scale per 32 inputs",
}


def find_layers(weights: Collection[str]) -> list[Layer]:
    """The layers that a recipe may change, of a network with these weights, in their order."""
    layers: dict[str, Layer] = {}
    for weight in weights:
        module = weight.removesuffix(".weight")
        if module == weight:
            continue
        parent, _, kind = module.rpartition(".")
        if module in _TABLES:
            layers[module] = Layer(name=module, modules=(module,), is_table=True)
        elif kind in _FUSED and parent.endswith(".self_attn"):
            modules = tuple(f"{parent}.{each}" for each in _FUSED)
            name = f"{parent}.qkv_proj"
            layers[name] = Layer(name=name, modules=modules, is_table=False)
        elif kind in _LINEAR and not module.startswith("classification_head."):
            layers[module] = Layer(name=module, modules=(module,), is_table=False)
    return list(layers.values())


def match_layers(layers: Collection[Layer], patterns: Collection[str]) -> frozenset[str]:
    """Names of the layers that a pattern such as `model.decoder.layers.0.*` matches.

    Raises: ValueError for a pattern that matches none.
    """
    matched: set[str] = set()
    for pattern in patterns:
        found = {layer.name for layer in layers if fnmatchcase(layer.name, pattern)}
        if not found:
            examples = ", ".join(sorted(layer.name for layer in layers)[:3])
            raise ValueError(f"no layer is called {pattern!r}, expected names such as {examples}")
        matched |= found
    return frozenset(matched)
