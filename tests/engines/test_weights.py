"""The weights file: every tensor once, on a page of its own, and a hash of what was written."""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from pegasus_engines.weights import PAGE_BYTES, WeightsFile, is_external

Floats = npt.NDArray[np.float32]


def _array(size: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def _model(**weights: npt.NDArray[Any]) -> ir.Model:
    """A graph that has these initialisers, and nothing else."""
    values = [
        ir.Value(name=name, const_value=ir.Tensor(array, name=name))
        for name, array in weights.items()
    ]
    graph = ir.Graph([], [], nodes=[], initializers=values, opset_imports={"": 18}, name="g")
    return ir.Model(graph, ir_version=10)


def _references(model: ir.Model) -> dict[str, ir.ExternalTensor]:
    return {
        str(value.name): value.const_value
        for value in model.graph.initializers.values()
        if isinstance(value.const_value, ir.ExternalTensor)
    }


def test_tensors_start_on_pages_and_read_back(tmp_path: Path) -> None:
    arrays = {"a": _array(300, 1), "b": _array(5000, 2), "c": _array(1024, 3)}
    model = _model(**arrays)
    with WeightsFile(tmp_path / "weights.bin") as weights:
        weights.move_in(model)
    references = _references(model)
    assert set(references) == set(arrays)
    for name, reference in references.items():
        assert reference.offset is not None
        assert reference.offset % PAGE_BYTES == 0
        np.testing.assert_array_equal(reference.numpy(), arrays[name])
    ends = [(x.offset or 0) + (x.length or 0) for x in references.values()]
    assert (tmp_path / "weights.bin").stat().st_size == weights.num_bytes == max(ends)


def test_small_tensors_stay_in_their_graph(tmp_path: Path) -> None:
    model = _model(small=_array(255), large=_array(256))
    with WeightsFile(tmp_path / "weights.bin") as weights:
        weights.move_in(model)
    assert set(_references(model)) == {"large"}
    assert not is_external(ir.Tensor(_array(255)))
    assert is_external(ir.Tensor(_array(256)))


def test_a_name_that_comes_again_is_written_once(tmp_path: Path) -> None:
    array = _array(2000)
    models = [_model(shared=array), _model(other=_array(300, 1), shared=array)]
    with WeightsFile(tmp_path / "weights.bin") as weights:
        for model in models:
            weights.move_in(model)
    first, second = (_references(model)["shared"] for model in models)
    assert (first.offset, first.length) == (second.offset, second.length) == (0, 8000)
    assert weights.num_bytes == 2 * PAGE_BYTES + 1200


@pytest.mark.parametrize("other", [_array(2001), _array(2000).view(np.int32)])
def test_two_weights_of_one_name_are_refused(tmp_path: Path, other: npt.NDArray[Any]) -> None:
    with WeightsFile(tmp_path / "weights.bin") as weights:
        weights.move_in(_model(shared=_array(2000)))
        with pytest.raises(ValueError, match="two graphs disagree on the weight shared"):
            weights.move_in(_model(shared=other))


def test_the_hash_is_that_of_the_file_and_progress_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    with WeightsFile(path) as weights:
        weights.move_in(_model(a=_array(300), b=_array(2**20 + 7), c=_array(300, 1)))
        assert weights.sha256 == ""
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.num_bytes == path.stat().st_size


def test_a_graph_refers_to_what_was_written_before_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    with WeightsFile(path) as weights:
        weights.write([("large", _array(2000)), ("small", _array(3))])
        size = weights.num_bytes
        model = _model(large=_array(2000), small=_array(3), unknown=_array(4))
        weights.move_in(model)
        assert weights.num_bytes == size
    external = {
        name: isinstance(value.const_value, ir.ExternalTensor)
        for name, value in model.graph.initializers.items()
    }
    assert external == {"large": True, "small": True, "unknown": False}  # small ones stay inside
    assert set(weights.tensors) == {"large", "small"}


def test_references_into_the_file_are_left_alone(tmp_path: Path) -> None:
    with WeightsFile(tmp_path / "weights.bin") as weights:
        weights.write([("large", _array(2000))])
        model = _model(view=_array(5))
        model.graph.initializers["view"].const_value = weights.tensors["large"]
        weights.move_in(model)
    assert model.graph.initializers["view"].const_value is weights.tensors["large"]


def test_an_array_that_is_not_contiguous_is_written_in_order(tmp_path: Path) -> None:
    array = _array(1200).reshape(30, 40).T
    model = _model(a=array)
    with WeightsFile(tmp_path / "weights.bin") as weights:
        weights.move_in(model)
    np.testing.assert_array_equal(_references(model)["a"].numpy(), array)


class _SlowPath(type(Path())):  # type: ignore[misc]
    """A path whose file takes a thousand bytes at a time, as a raw file may."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        file = super().open(*args, **kwargs)

        class _Slow:
            fileno, close = file.fileno, file.close

            def write(self, data: memoryview) -> int | None:
                written: int | None = file.write(data[:1000])
                return written

        return _Slow() if "x" in args[0] else file


def test_partial_writes_are_continued(tmp_path: Path) -> None:
    array = _array(5000)
    path = _SlowPath(tmp_path / "weights.bin")
    with WeightsFile(path) as weights:
        weights.move_in(_model(a=array, b=array + 1))
    data = (tmp_path / "weights.bin").read_bytes()
    assert data[:20_000] == array.tobytes()
    assert data[5 * PAGE_BYTES :] == (array + 1).tobytes()
    assert weights.sha256 == hashlib.sha256(data).hexdigest()


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"mine")
    with pytest.raises(FileExistsError), WeightsFile(tmp_path / "weights.bin"):
        pass
    assert (tmp_path / "weights.bin").read_bytes() == b"mine"


def test_the_file_is_closed_after_a_failure(tmp_path: Path) -> None:
    weights = WeightsFile(tmp_path / "weights.bin")
    with contextlib.suppress(KeyError), weights:
        raise KeyError
    assert weights._file.closed
