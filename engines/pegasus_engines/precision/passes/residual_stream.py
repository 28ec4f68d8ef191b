"""The residual stream of a graph: what writes into it, and what reads it.

It is followed from the LayerNorms that read it back to all that is added to it, so that nothing is
taken on trust that weights' names say. What reads or writes it otherwise is refused, and so is a
weight that belongs to the stream by its name and is read elsewhere.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import onnx_ir as ir

from pegasus_engines.network import TOKEN_TABLES, is_norm
from pegasus_engines.precision.residual_shift import writes_residual

__all__ = ["Lookup", "ResidualStream", "find_stream"]

_NORM = "LayerNormalization"
_JOINS = ("Add", "Concat")
_VIEWS = ("Reshape", "Slice")
"""Of the stream, whose first rows may be global tokens, with LayerNorms of their own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lookup:
    """Tokens being embedded."""

    gather: ir.Node
    product: ir.Node | None = None
    """By a scalar, if there is one."""
    factor: float = 1.0
    """That scalar."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResidualStream:
    """What gives it its scale, besides weights; of both streams where a graph has both stacks."""

    norms: Collection[ir.Node]
    """All that read it."""
    lookups: Collection[Lookup]
    """All tokens that are embedded."""


def find_stream(graph: ir.Graph) -> ResidualStream:
    """Of a graph as it was traced. Raises: ValueError, see above."""
    norms = [node for node in graph if node.op_type == _NORM]
    for norm in norms:
        _check_weights(norm, norm.inputs[1:2], is_norm)
    values, between, writers = _follow([norm.inputs[0] for norm in norms])
    found = [_find_lookup(node) for node in writers]
    lookups = [lookup for lookup in found if lookup is not None]
    for node, lookup in zip(writers, found, strict=True):
        if lookup is None:
            weights = {"Gather": node.inputs[:1], "Gemm": node.inputs[1:]}.get(node.op_type, [])
            _check_weights(node, weights, writes_residual)
    _check_readers(graph, values, {*between, *norms})
    _check_uses(graph, {*norms, *writers, *(lookup.gather for lookup in lookups)})
    return ResidualStream(norms=norms, lookups=lookups)


def _follow(
    found: list[ir.Value | None],
) -> tuple[set[ir.Value], set[ir.Node], list[ir.Node]]:
    """The stream's values, the nodes that add them or hand one on, and those that give others."""
    values: set[ir.Value] = set()
    between: set[ir.Node] = set()
    writers: list[ir.Node] = []
    while found:
        value = found.pop()
        if value is None or value in values:
            continue
        values.add(value)
        node = value.producer()
        if node is None:
            raise ValueError(f"the input {value.name} is added to the residual stream")
        if node.op_type in _JOINS:
            between.add(node)
            found += node.inputs
        elif node.op_type in _VIEWS:
            between.add(node)
            found += node.inputs[:1]
        else:
            writers.append(node)
    return values, between, writers


def _find_lookup(node: ir.Node) -> Lookup | None:
    """Of a node whose output is written into the stream."""
    if _looks_up_tokens(node):
        return Lookup(gather=node)
    if node.op_type != "Mul":
        return None
    for rows, other in (tuple(node.inputs), tuple(reversed(node.inputs))):
        gather = None if rows is None else rows.producer()
        scalar = None if other is None else ir.convenience.get_const_tensor(other)
        if gather is None or scalar is None or scalar.size != 1 or not _looks_up_tokens(gather):
            continue
        return Lookup(gather=gather, product=node, factor=float(scalar.numpy().item()))
    return None


def _looks_up_tokens(node: ir.Node) -> bool:
    table = node.inputs[0] if node.op_type == "Gather" else None
    return table is not None and table.name in TOKEN_TABLES


def _check_weights(
    node: ir.Node, values: Iterable[ir.Value | None], is_expected: Callable[[str], bool]
) -> None:
    names = [str(value.name) for value in values if value is not None]
    if not names or not all(map(is_expected, names)):
        raise ValueError(
            f"{node.op_type} of {', '.join(names) or 'nothing'} is at the residual stream, "
            "expected LayerNorms, out_proj, fc2, positions and embedded tokens"
        )


def _check_readers(
    graph: ir.Graph, values: Collection[ir.Value], known: Collection[ir.Node]
) -> None:
    for value in values:
        others = [use.node.op_type for use in value.uses() if use.node not in known]
        others += ["the outside"] if value in graph.outputs else []
        if others:
            raise ValueError(
                f"the residual stream, {value.name}, is read by {', '.join(others)}, "
                "expected LayerNorms"
            )


def _check_uses(graph: ir.Graph, known: Collection[ir.Node]) -> None:
    """Whether weights that belong to the stream by name are read where it was found, alone."""
    for name, value in graph.initializers.items():
        belongs = is_norm(name) or writes_residual(name)
        for use in value.uses():
            if use.node not in known and (belongs or _looks_up_tokens(use.node)):
                raise ValueError(
                    f"{name} is read by {use.node.op_type}, which is not at the residual stream"
                )
