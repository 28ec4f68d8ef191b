"""Which layer of a network gets which format."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from pegasus_engines.network import TOKEN_TABLES
from pegasus_engines.precision.residual_shift import NO_SHIFT, ResidualShift
from pegasus_runtime.bundle import PLAN_TARGETS, JsonValue, Target

__all__ = ["PRECISIONS", "Format", "Layer", "PrecisionRecipe", "find_layers", "match_layers"]

Format: TypeAlias = Literal["fp32", "fp16", "int8", "int4"]

PRECISIONS: Mapping[str, tuple[Format, Format]] = {
    "fp32": ("fp32", "fp32"),
    "fp16": ("fp16", "fp16"),
    "int8": ("int8", "int8"),
    # The head decides between 96103 tokens: it keeps 8 bits, and is stored with the embedding.
    "int4": ("int4", "int8"),
}
"""Precision -> format of the linear layers, format of embedding and head, for ONNX Runtime."""

_STATIC_TARGETS = ("trt",)  # TensorRT for RTX has integers in weights only

_LINEAR = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
_FUSED = ("q_proj", "k_proj", "v_proj")


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
    """What a precision comes to: formats, and the layers that it leaves as they are."""

    name: str
    """Of the precision: a key of PRECISIONS."""
    target: Target = "ort"
    kept: frozenset[str] = frozenset()
    """Names of layers that stay fp32, or fp16 where `is_half`."""
    raised: frozenset[str] = frozenset()
    """Names of layers that have 8 bits where the others have 4."""
    fuses_projections: bool = True
    """Whether the projections of a self-attention become one product, in fp32 too."""
    residual_shift: ResidualShift = NO_SHIFT
    """Of the residual stream, so that fp16 holds it."""

    @property
    def is_half(self) -> bool:
        """Whether what is not quantised is fp16."""
        is_plan = self.target in PLAN_TARGETS
        return self.name == "fp16" or (is_plan and self.name != "fp32")

    @property
    def quantises(self) -> bool:
        """Whether linear layers have integers for weights."""
        return PRECISIONS[self.name][0] in ("int8", "int4")

    @property
    def measures_activations(self) -> bool:
        """Whether activations are quantised with scales that documents tell beforehand."""
        return self.target in _STATIC_TARGETS and self.name == "int8"

    def format_of(self, layer: Layer) -> Format:
        """The format that a layer's weights are stored in.

        TensorRT's int4 layers are int8 where their inputs are no whole groups.
        """
        linear, table = PRECISIONS[self.name]
        if self.is_half:
            table = "fp16"
        if layer.name in self.kept:
            return "fp16" if self.is_half else "fp32"
        if layer.is_table:
            return table
        return "int8" if linear == "int4" and layer.name in self.raised else linear

    def raise_formats(self, layers: Collection[Layer]) -> "PrecisionRecipe":
        """The recipe in which each of them has more bits: int8 after int4, fp32 or fp16 then."""
        coarse = {layer.name for layer in layers if self.format_of(layer) == "int4"}
        kept = {layer.name for layer in layers} - coarse
        return dataclasses.replace(self, raised=self.raised | coarse, kept=self.kept | kept)

    def changes(self, layer: Layer) -> bool:
        """Whether a layer is stored otherwise than in the checkpoint."""
        is_fused = self.fuses_projections and len(layer.modules) > 1
        return is_fused or self.format_of(layer) != "fp32"

    def describe(self) -> dict[str, JsonValue]:
        """What the manifest says of it."""
        linear, table = PRECISIONS[self.name]
        if self.name == "fp32":
            return {}
        if self.name == "fp16":
            return {"weights": "fp16", "residual_shift": self.residual_shift.bits}
        if self.is_half:
            activations = "static" if self.measures_activations else "fp16"
            device: dict[str, JsonValue] = {
                "linear": _PLAN_DESCRIPTIONS[linear, activations],
                "others": "fp16",
                "residual_shift": self.residual_shift.bits,
                "kept_fp16": sorted(self.kept),
            }
            return device | self._describe_raised()
        host: dict[str, JsonValue] = {
            "linear": _DESCRIPTIONS[linear],
            "embedding_and_head": _DESCRIPTIONS[table],
            "kept_fp32": sorted(self.kept),
        }
        return host | self._describe_raised()

    def _describe_raised(self) -> dict[str, JsonValue]:
        return {"raised_int8": sorted(self.raised - self.kept)} if self.raised else {}


_DESCRIPTIONS: Mapping[Format, str] = {
    "fp32": "fp32",
    "fp16": "fp16",
    "int8": "int8 weights, a scale per output channel; activations 8 bits, a scale per row",
    "int4": "int4 weights, a scale and a zero per 32 inputs; activations 8 bits, a scale per 32 "
    "inputs",
}
_PLAN_DESCRIPTIONS: Mapping[tuple[Format, str], str] = {
    ("int8", "static"): "int8 weights, a scale per output channel; activations 8 bits, a scale per "
    "tensor from calibration, balanced with the weights",
    ("int8", "fp16"): "int8 weights, a scale per output channel; activations fp16",
    ("int4", "fp16"): "int4 weights, a scale per 64 inputs (int8 where inputs are no multiple of "
    "64); activations fp16",
}


def find_layers(weights: Collection[str]) -> list[Layer]:
    """The layers that a recipe may change, of a network with these weights, in their order."""
    layers: dict[str, Layer] = {}
    for weight in weights:
        module = weight.removesuffix(".weight")
        if module == weight:
            continue
        parent, _, kind = module.rpartition(".")
        if weight in TOKEN_TABLES:
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
