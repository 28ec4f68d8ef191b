"""What it takes to trace one graph."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir
import torch
from torch import Tensor, nn

from pegasus_export.dialects.block_sparse import SparsePattern
from pegasus_export.dialects.block_sparse_nodes import AttentionNodes, Heads

__all__ = ["Compose", "GraphDefinition", "GraphInput", "Shape", "SparseAttention", "integers"]

Shape = tuple[int | str, ...]
"""A size, or the name of a dynamic dimension, per axis."""


Compose = Callable[[dict[str, ir.Model]], dict[str, ir.Model]]
"""From a bundle's graphs as they were traced and converted to those that are written."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphInput:
    """One input: its ONNX name, an example, and which dimensions are dynamic.

    Sizes of examples differ from 0 and 1, so that tracing specialises none; each input has a
    tensor object of its own, as torch.export takes one object given twice for one input.
    """

    name: str
    example: Tensor
    dynamic: Mapping[int, str]

    @property
    def shape(self) -> Shape:
        """The symbolic shape."""
        return tuple(self.dynamic.get(axis, size) for axis, size in enumerate(self.example.shape))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparseAttention:
    """The attention of a block-sparse encoder, and the dialect that it is written in."""

    nodes: AttentionNodes
    heads: Heads
    pattern: SparsePattern
    form: Literal["any length", "given", "plugin"] = "any length"
    """Of the node that the graph has for it: a function that takes any length; one that is given,
    by inputs of the graph, which blocks are seen, and takes whole blocks; or TensorRT's plugin."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphDefinition:
    """One ONNX graph to be: a module, the arguments of its forward, its outputs."""

    name: str
    module: nn.Module
    arguments: tuple[GraphInput | list[GraphInput], ...]
    """In the order of forward; a list is an argument that takes a list of tensors."""
    outputs: Mapping[str, Shape]
    """ONNX name -> symbolic shape."""
    attention: SparseAttention | None = None
    """How a block-sparse encoder attends; the graph calls it by name."""

    def inputs(self) -> Iterator[GraphInput]:
        """All inputs, flattened, in the order of the ONNX graph."""
        for argument in self.arguments:
            yield from argument if isinstance(argument, list) else [argument]


def integers(name: str, dims: tuple[str, ...], sizes: Mapping[str, int]) -> GraphInput:
    """An int64 input of ones, all dimensions dynamic: token ids, or a mask."""
    example = torch.ones([sizes[dim] for dim in dims], dtype=torch.int64)
    return GraphInput(name=name, example=example, dynamic=dict(enumerate(dims)))
