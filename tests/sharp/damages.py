"""Deliberate damages of a bundle's graphs and weights, each of which changes what it computes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx_ir as ir

__all__ = ["GRAPH_DAMAGES", "WEIGHT_DAMAGES", "Damage"]

Damage = Callable[[Path, np.random.Generator], bool]
"""(folder of a bundle, rng) -> whether there is such a thing to damage in it."""


def _weights(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor of the weights files once, to be written to."""
    seen = set()
    for path in sorted(folder.glob("*.onnx")):
        for value in ir.load(path).graph.initializers.values():
            tensor = value.const_value
            if isinstance(tensor, ir.ExternalTensor):
                place = (str(tensor.location), tensor.offset or 0)
                if place not in seen:
                    seen.add(place)
                    shape = tuple(tensor.shape.numpy())
                    yield (
                        str(value.name),
                        np.memmap(folder / place[0], "<f4", "r+", place[1], shape),
                    )


def _pick(
    folder: Path, rng: np.random.Generator, *parts: str, square: bool = False
) -> np.ndarray | None:
    found = [
        array
        for name, array in _weights(folder)
        if any(part in name for part in parts)
        and array.any()
        and not (square and array.shape[0] != array.shape[-1])
    ]
    return found[int(rng.integers(len(found)))] if found else None


def _change(
    *parts: str, change: Callable[[np.ndarray, np.random.Generator], None], square: bool = False
) -> Damage:
    def damage(folder: Path, rng: np.random.Generator) -> bool:
        array = _pick(folder, rng, *parts, square=square)
        if array is None:
            return False
        before = np.array(array)
        change(array, rng)
        array.flush()  # type: ignore[attr-defined]
        return not np.array_equal(before, array)

    return damage


def _one(array: np.ndarray, rng: np.random.Generator) -> None:
    """One weight, by four times what weights of its tensor have."""
    index = int(rng.integers(array.size))
    array.reshape(-1)[index] += 4 * float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def _all_a_little(array: np.ndarray, rng: np.random.Generator) -> None:
    array *= (1 + 1e-3 * rng.standard_normal(array.shape)).astype(np.float32)


def _clear_row(array: np.ndarray, rng: np.random.Generator) -> None:
    array[int(rng.integers(len(array)))] = 0


def _clear(array: np.ndarray, _: np.random.Generator) -> None:
    array[...] = 0


def _swap_rows(array: np.ndarray, rng: np.random.Generator) -> None:
    first, second = rng.choice(len(array), 2, replace=False)
    array[[first, second]] = array[[second, first]]


def _swap_halves(array: np.ndarray, _: np.random.Generator) -> None:
    """What heads read of, where there are two."""
    half = len(array) // 2
    array[...] = np.concatenate([array[half:], array[:half]])


def _transpose(array: np.ndarray, _: np.random.Generator) -> None:
    array[...] = np.array(array.T)


def _to_half(array: np.ndarray, _: np.random.Generator) -> None:
    array[...] = array.astype(np.float16).astype(np.float32)


def _edit(change: Callable[[ir.Model], bool]) -> Damage:
    """Of every graph in which there is such a thing."""

    def damage(folder: Path, rng: np.random.Generator) -> bool:
        found = False
        for path in folder.glob("*.onnx"):
            model = ir.load(path)
            if change(model):
                found = True
                target = path.with_suffix(".edited")
                ir.save(model, target)
                shutil.move(target, path)
        return found

    return damage


def _nodes(model: ir.Model, *names: str) -> list[ir.Node]:
    return [node for node in model.graph.all_nodes() if node.op_type in names]


def _wrong_eps(model: ir.Model) -> bool:
    nodes = _nodes(model, "LayerNormalization", "AddLayerNormalization")
    for node in nodes:
        node.attributes["epsilon"] = ir.AttrFloat32("epsilon", 0.1)
    return bool(nodes)


def _wrong_scale(model: ir.Model) -> bool:
    """Of the scores of the first attention."""
    nodes = _nodes(model, "MultiHeadAttention")[:1]
    for node in nodes:
        node.attributes["scale"] = ir.AttrFloat32("scale", 0.3)
    return bool(nodes)


def _ignore_mask(model: ir.Model) -> bool:
    """Padding is read as well."""
    inputs = {str(value.name): value for value in model.graph.inputs}
    value = inputs.get("attention_mask")
    if value is None or not value.uses() or "cross_key.0" in inputs:
        return False
    uses, dtype = list(value.uses()), value.dtype
    assert dtype is not None
    same = ir.node("Equal", [value, value])
    ones = ir.node("Cast", [same.outputs[0]], {"to": int(dtype)})
    ones.outputs[0].dtype, ones.outputs[0].shape = dtype, value.shape
    for use in uses:
        use.node.replace_input_with(use.idx, ones.outputs[0])
    model.graph.insert_before(model.graph[0], [same, ones])
    return True


def _wrong_activation(model: ir.Model) -> bool:
    """GELU by its other formula, or a ReLU that lets a hundredth through."""
    nodes = _nodes(model, "Relu")[:1]
    for node in nodes:
        leaky = ir.node("LeakyRelu", list(node.inputs))
        given, other = node.outputs[0], leaky.outputs[0]
        other.dtype, other.shape = given.dtype, given.shape
        for use in list(given.uses()):
            use.node.replace_input_with(use.idx, other)
        model.graph.insert_before(node, leaky)
        model.graph.remove(node)
    return bool(nodes)


def _drop_bias(model: ir.Model) -> bool:
    nodes = [node for node in _nodes(model, "Gemm") if len(node.inputs) == 3]
    for node in nodes[:1]:
        node.resize_inputs(2)
    return bool(nodes)


def _swap_outputs(model: ir.Model) -> bool:
    outputs = {str(value.name): value for value in model.graph.outputs}
    pairs = (("cross_key.0", "cross_value.0"), ("present.0.decoder.key", "present.0.decoder.value"))
    for one, other in pairs:
        if one in outputs and other in outputs:
            outputs[one].name, outputs[other].name = "swapped", one
            outputs[one].name = other
            return True
    return False


WEIGHT_DAMAGES: dict[str, Damage] = {
    "one weight of a layer": _change("fc1.weight", "fc2.weight", "_proj.weight", change=_one),
    "one weight of a norm": _change("norm.weight", change=_one),
    "one weight of an embedding": _change("shared", "embed_tokens", change=_one),
    "one weight of a position": _change("embed_positions", change=_one),
    "one bias": _change("fc1.bias", "fc2.bias", "out_proj.bias", change=_one),
    "one bias of the logits": _change("final_logits_bias", change=_one),
    "all weights by a thousandth": _change("fc1.weight", "_proj.weight", change=_all_a_little),
    "a matrix rounded to fp16": _change("fc1.weight", "_proj.weight", change=_to_half),
    "a row cleared": _change("fc1.weight", "fc2.weight", "_proj.weight", change=_clear_row),
    "a matrix cleared": _change("fc2.weight", "out_proj.weight", change=_clear),
    "a bias cleared": _change("fc1.bias", "fc2.bias", "out_proj.bias", change=_clear),
    "two rows swapped": _change("v_proj.weight", "fc2.weight", change=_swap_rows),
    "two positions swapped": _change("embed_positions", change=_swap_rows),
    "two tokens swapped": _change("shared", "embed_tokens", change=_swap_rows),
    "heads swapped": _change(
        "v_proj.weight", "encoder_attn.q_proj.weight", "out_proj.weight", change=_swap_halves
    ),
    "a matrix transposed": _change("_proj.weight", change=_transpose, square=True),
}
GRAPH_DAMAGES: dict[str, Damage] = {
    "another epsilon": _edit(_wrong_eps),
    "another scale of scores": _edit(_wrong_scale),
    "no mask": _edit(_ignore_mask),
    "another activation": _edit(_wrong_activation),
    "no bias": _edit(_drop_bias),
    "keys and values swapped": _edit(_swap_outputs),
}
