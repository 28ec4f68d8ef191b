"""What an ONNX graph reads from files, against what the manifest lists."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pegasus_runtime.bundle import (
    FileRecord,
    GraphSpec,
    Manifest,
    TableSpec,
    TensorSpec,
    check_graph_weights,
)
from pegasus_runtime.bundle.folder import Bundle
from pegasus_runtime.bundle.graph_weights import GraphWeight, read_graph_weights
from pegasus_runtime.errors import BundleError


def external(
    name: str,
    location: str,
    *,
    offset: int = 0,
    dtype: int = TensorProto.INT8,
    shape: tuple[int, ...] = (4, 8),
) -> TensorProto:
    tensor = TensorProto(name=name, data_type=dtype, data_location=TensorProto.EXTERNAL)
    tensor.dims.extend(shape)
    pairs = {"location": location, "offset": str(offset), "length": str(int(np.prod(shape)))}
    for key, value in pairs.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def model(*tensors: TensorProto) -> onnx.ModelProto:
    inline = numpy_helper.from_array(np.arange(6, dtype=np.int64), "inline")
    node = helper.make_node("Identity", ["inline"], ["out"])
    output = helper.make_tensor_value_info("out", TensorProto.INT64, [6])
    graph = helper.make_graph([node], "g", [], [output], [inline, *tensors])
    return helper.make_model(graph)


def hidden(kind: str) -> onnx.ModelProto:
    """A tensor where nobody looks first."""
    tensor = external("hidden", "../else.bin")
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    found = model()
    if kind == "constant":
        found.graph.node.append(constant)
    elif kind == "subgraph":
        branch = helper.make_graph([constant], "branch", [], [])
        inner = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
        found.graph.node.append(inner)
    elif kind == "function":
        function = helper.make_function("d", "f", [], ["c"], [constant], [])
        found.functions.append(function)
    else:
        found.graph.sparse_initializer.add().values.CopyFrom(tensor)
    return found


def bundle_of(folder: Path, manifest: Manifest, model: onnx.ModelProto) -> Bundle:
    """Whose encoder is this graph, with 1000 bytes of weights and a table in them."""
    (folder / "encoder.onnx").write_bytes(model.SerializeToString())
    (folder / "weights.bin").write_bytes(bytes(1000))
    table = TableSpec(
        file="weights.bin", offset=64, dtype="int8", shape=(4, 8), graphs=("encoder",)
    )
    record = FileRecord(bytes=1000, sha256="0" * 64)
    return Bundle(
        folder=folder,
        manifest=replace(
            manifest,
            graphs={"encoder": GraphSpec(file="encoder.onnx", inputs=(), outputs=())},
            tables={"table": table},
            files={"encoder.onnx": record, "weights.bin": record},
        ),
    )


def with_input(bundle: Bundle, shape: tuple[int, int]) -> Bundle:
    """Whose encoder is given the table."""
    table = TensorSpec(name="table", dtype="int8", shape=shape)
    graph = replace(bundle.manifest.graphs["encoder"], inputs=(table,))
    return replace(bundle, manifest=replace(bundle.manifest, graphs={"encoder": graph}))


def test_tensors_in_files_are_found_and_others_are_not() -> None:
    given = model(external("a", "weights.bin", offset=7), external("b", "b", dtype=10, shape=()))
    assert read_graph_weights(given.SerializeToString()) == [
        GraphWeight(
            name="a", dtype="int8", shape=(4, 8), location="weights.bin", offset=7, length=32
        ),
        GraphWeight(name="b", dtype="float16", shape=(), location="b", offset=0, length=1),
    ]


@pytest.mark.parametrize("kind", ["constant", "subgraph", "function", "sparse"])
def test_they_are_found_wherever_they_are(tmp_path: Path, manifest: Manifest, kind: str) -> None:
    bundle = bundle_of(tmp_path, manifest, hidden(kind))
    message = "takes 'hidden' from '../else.bin', which the manifest does not list: export"
    with pytest.raises(BundleError, match=message):
        check_graph_weights(bundle, "encoder")


def test_a_graph_reads_listed_files_and_tables_are_its_own(
    tmp_path: Path, manifest: Manifest
) -> None:
    bundle = bundle_of(tmp_path, manifest, model(external("table", "weights.bin", offset=64)))
    check_graph_weights(bundle, "encoder")


@pytest.mark.parametrize(("shape", "is_taken"), [((4, 8), True), ((8, 4), False)])
def test_a_table_may_be_an_input(
    tmp_path: Path, manifest: Manifest, shape: tuple[int, int], is_taken: bool
) -> None:
    bundle = bundle_of(tmp_path, manifest, model())
    bundle = with_input(bundle, shape)
    if is_taken:
        check_graph_weights(bundle, "encoder")
        return
    with pytest.raises(BundleError, match=r"tables\.table: unlike 'table' of "):
        check_graph_weights(bundle, "encoder")


@pytest.mark.parametrize(
    ("offset", "is_input", "is_taken"),
    [(64, False, True), (64, True, False), (33, False, False), (95, True, False), (96, True, True)],
)
def test_a_table_has_no_bytes_of_other_weights(
    tmp_path: Path, manifest: Manifest, offset: int, is_input: bool, is_taken: bool
) -> None:
    """But those of its copy under another name."""
    tensors = [external("other", "weights.bin", offset=offset)]
    tensors += [] if is_input else [external("table", "weights.bin", offset=64)]
    bundle = bundle_of(tmp_path, manifest, model(*tensors))
    if is_input:
        bundle = with_input(bundle, (4, 8))
    if is_taken:
        check_graph_weights(bundle, "encoder")
        return
    with pytest.raises(BundleError, match=r"tables\.table: unlike 'table' of "):
        check_graph_weights(bundle, "encoder")


@pytest.mark.parametrize(
    "tensor",
    [
        external("table", "weights.bin", offset=0),
        external("table", "encoder.onnx", offset=64),
        external("table", "weights.bin", offset=64, shape=(8, 4)),
        external("table", "weights.bin", offset=64, dtype=TensorProto.FLOAT16),
        external("other", "weights.bin", offset=64),
    ],
)
def test_a_table_unlike_the_graphs_is_refused(
    tmp_path: Path, manifest: Manifest, tensor: TensorProto
) -> None:
    bundle = bundle_of(tmp_path, manifest, model(tensor))
    with pytest.raises(BundleError, match=r"tables\.table: unlike 'table' of .*encoder\.onnx: exp"):
        check_graph_weights(bundle, "encoder")


def test_weights_beyond_their_file_are_refused(tmp_path: Path, manifest: Manifest) -> None:
    bundle = bundle_of(tmp_path, manifest, model(external("a", "weights.bin", offset=990)))
    with pytest.raises(BundleError, match=r"takes 'a' from beyond the end of weights\.bin: copy"):
        check_graph_weights(bundle, "encoder")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x3a\x7fshort", "it ends within a field"),
        (b"\x80", "it ends within a number"),
        (bytes(4), "a field without a number"),
        (b"\x09\x00", "it ends within a field"),
        (b"\x3b", "a field of unknown kind 3"),
    ],
)
def test_what_is_no_graph_is_said(
    tmp_path: Path, manifest: Manifest, data: bytes, message: str
) -> None:
    bundle = bundle_of(tmp_path, manifest, model())
    (tmp_path / "encoder.onnx").write_bytes(data)
    with pytest.raises(BundleError, match=rf"no ONNX graph \({message}\): copy the bundle"):
        check_graph_weights(bundle, "encoder")


def test_depth_and_places_are_bounded() -> None:
    graph = helper.make_graph([], "innermost", [], [], [external("x", "location")])
    for _ in range(20):
        node = helper.make_node("If", ["x"], ["y"], then_branch=graph)
        graph = helper.make_graph([node], "outer", [], [])
    with pytest.raises(ValueError, match=r"^nested too deeply$"):
        read_graph_weights(helper.make_model(graph).SerializeToString())
    tensor = external("x", "w")
    tensor.external_data[1].value = "-1"
    with pytest.raises(ValueError, match=r"^'-1' is no place in a file$"):
        read_graph_weights(model(tensor).SerializeToString())
