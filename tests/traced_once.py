"""The tests export the same tiny network hundreds of times: each process traces it once.

A trace takes half of a tiny export, and depends on nothing but its definition. Those count as the
same that are the same in every attribute of the module, and in every bit of its weights, and in
their inputs and outputs. Tests of tracing itself call trace_graph, which is as ever.
"""

import hashlib
import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import onnx_ir as ir
import torch

from pegasus_export.graphs.definition import GraphDefinition
from pegasus_export.stages import graph_files
from pegasus_export.stages.trace import trace_graph

__all__ = ["TracedOnce", "describe_definition", "trace_once"]

_MAX_BYTES = 8 << 20
"""Of a definition: larger networks are traced as ever."""
_MAX_GRAPHS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedOnce:
    """trace_graph, with the last graphs that it gave."""

    _known: OrderedDict[str, ir.Model] = field(default_factory=OrderedDict)

    def trace(self, definition: GraphDefinition) -> ir.Model:
        key = describe_definition(definition)
        if key is None:
            return trace_graph(definition)
        if key not in self._known:
            model = trace_graph(definition)
            self._known[key] = _with_weights_of_its_own(model)
            if len(self._known) > _MAX_GRAPHS:
                self._known.popitem(last=False)
            return model
        self._known.move_to_end(key)
        return self._known[key].clone()


def trace_once() -> None:
    """From now on, in the exports of this process."""
    module: ModuleType = graph_files
    module.trace_graph = TracedOnce().trace  # type: ignore[attr-defined]


def describe_definition(definition: GraphDefinition) -> str | None:
    """Equal for definitions that are equal in everything; None: it is large, or cannot be read."""
    weights = (*definition.module.parameters(), *definition.module.buffers())
    if sum(tensor.nbytes for tensor in weights) > _MAX_BYTES:
        return None
    written = io.BytesIO()
    try:
        _Description(written).dump(definition)
    except (AttributeError, TypeError, pickle.PicklingError):  # a function made in another
        return None
    return hashlib.sha256(written.getbuffer()).hexdigest()


class _Description(pickle.Pickler):
    """pickle, but a tensor is its kind, its bits, and which of the tensors met so far it is."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=4)
        self._met: dict[int, torch.Tensor] = {}

    def persistent_id(self, obj: object) -> object:
        if not isinstance(obj, torch.Tensor):
            return None
        self._met.setdefault(id(obj), obj)
        number = list(self._met).index(id(obj))
        kind = (type(obj).__name__, str(obj.dtype), str(obj.device), tuple(obj.shape), obj.stride())
        bits = b"" if obj.is_meta else obj.detach().contiguous().view(torch.uint8).numpy().tobytes()
        return (number, *kind, obj.requires_grad, hashlib.sha256(bits).hexdigest())


def _with_weights_of_its_own(model: ir.Model) -> ir.Model:
    """A copy: an export lets go of the checkpoint's tensors when it has written them."""
    copied = model.clone()
    for name, value in copied.graph.initializers.items():
        if value.const_value is not None:
            array = np.array(value.const_value.numpy())
            value.const_value = ir.Tensor(array, dtype=value.const_value.dtype, name=name)
    return copied
