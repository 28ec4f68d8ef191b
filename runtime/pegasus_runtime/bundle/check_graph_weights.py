"""What a graph reads from files, against the manifest.

ONNX Runtime opens whatever a graph names, and takes an array in place of an initialiser without a
look at its type or size. So both are compared beforehand: a graph may read listed files only, and a
table of the manifest is the very initialiser, or input, that the graph has, and no other weights.
"""

import math
import posixpath

import numpy as np

from pegasus_runtime.bundle.folder import Bundle
from pegasus_runtime.bundle.graph_weights import GraphWeight, read_graph_weights
from pegasus_runtime.bundle.manifest import TableSpec
from pegasus_runtime.errors import BundleError

__all__ = ["check_graph_weights"]


def check_graph_weights(bundle: Bundle, name: str) -> None:
    """Raises: BundleError if graph `name` reads what the manifest does not list, or a table of the
    manifest is not as the graph has it."""
    manifest, graph = bundle.manifest, bundle.manifest.graphs[name]
    file = graph.file
    path = bundle.folder / file
    try:
        weights = read_graph_weights(bundle.path(file).read_bytes())
    except (ValueError, OSError) as err:
        raise BundleError(f"{path}: no ONNX graph ({err}): copy the bundle again") from err
    for weight in weights:
        location = _listed_name(file, weight)
        record = manifest.files.get(location)
        if record is None:
            raise BundleError(
                f"{path}: takes {weight.name!r} from {weight.location!r}, which the manifest does "
                "not list: export the checkpoint again"
            )
        if weight.offset + _length(weight) > record.bytes:
            raise BundleError(
                f"{path}: takes {weight.name!r} from beyond the end of {location}: copy the "
                "bundle again, or export again"
            )
    found = {weight.name: weight for weight in weights}
    inputs = {each.name: (each.dtype, each.shape) for each in graph.inputs}
    for table, spec in manifest.tables.items():
        is_input = inputs.get(table) == (spec.dtype, spec.shape)
        is_own = name not in spec.graphs or is_input or _is_same(file, found.get(table), spec)
        shared = [weight for weight in weights if _overlaps(file, weight, spec)]
        if not is_own or any(is_input or weight.offset != spec.offset for weight in shared):
            raise BundleError(
                f"manifest.json: tables.{table}: unlike {table!r} of {path}: export the "
                "checkpoint again"
            )


def _listed_name(graph_file: str, weight: GraphWeight) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(graph_file), weight.location))


def _overlaps(graph_file: str, weight: GraphWeight, table: TableSpec) -> bool:
    end = table.offset + math.prod(table.shape) * np.dtype(table.dtype).itemsize
    return (
        _listed_name(graph_file, weight) == table.file
        and table.offset < weight.offset + _length(weight)
        and weight.offset < end
    )


def _length(weight: GraphWeight) -> int:
    """In bytes; at least one per element where neither the graph nor NumPy says how many."""
    if weight.length is not None:
        return weight.length
    try:
        return math.prod(weight.shape) * np.dtype(weight.dtype).itemsize
    except TypeError:
        return math.prod(weight.shape)


def _is_same(graph_file: str, weight: GraphWeight | None, table: TableSpec) -> bool:
    return weight is not None and (
        (_listed_name(graph_file, weight), weight.offset, weight.dtype, weight.shape)
        == (table.file, table.offset, table.dtype, table.shape)
    )
