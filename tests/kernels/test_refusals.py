"""What an operator of the library cannot compute it refuses, and says what it expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from kernels.one_call import open_call

Array = npt.NDArray[Any]
BEAMS, TIME, LENGTH = 2, 6, 20


def zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def whole(*shape: int, dtype: type = np.int64, value: int = 1) -> Array:
    return np.full(shape, value, dtype)


PRODUCT: dict[str, Array] = {
    "x": zeros(3, 4),
    "weight": whole(4, 5, dtype=np.int8),
    "scale": zeros(5),
    "bias": zeros(5),
}
CONSTANTS = ("weight", "scale")
SOURCE: dict[str, Array] = {
    "query": zeros(1, 3, 16),
    "key": zeros(1, 2, 5, 8),
    "value": zeros(1, 2, 5, 8),
    "mask": whole(1, 5),
}
BEAM: dict[str, Array] = {
    "qkv": zeros(BEAMS, 48),
    **{name: zeros(BEAMS, 2, TIME, 8) for name in ("past_key", "past_value")},
    "position": whole(1, dtype=np.int32),
    "beam_width": whole(1, dtype=np.int32, value=BEAMS),
    "indirection": whole(1, BEAMS, TIME, dtype=np.int32),
}
SPARSE: dict[str, Array] = {
    **{name: zeros(1, LENGTH, 16) for name in ("query", "key", "value")},
    "attention_mask": whole(1, LENGTH),
    "random_blocks": whole(2, 3, 1),
}
SELF: dict[str, Array] = {"qkv": zeros(2 * LENGTH, 48), "attention_mask": whole(2, LENGTH)}
NORM: dict[str, Array] = {
    **{name: zeros(3, 16) for name in "xy"},
    **{name: zeros(16) for name in ("weight", "bias")},
}
EPSILON = {"epsilon": 1e-5}
TOP: dict[str, Array] = {"logits": zeros(2, 5), "k": whole(1)}
PATTERN = {"num_heads": 2, "block_size": 4, "num_random_blocks": 1, "longest_full": 16}
WIDE = 2 * 513


def attributes_of(operator: str) -> dict[str, float]:
    return {
        "AddLayerNormalization": EPSILON,
        "BlockSparseAttention": PATTERN,
        "Int8Linear": {},
        "LogSoftmaxTopK": {},
        "KeepSource": {"num_heads": 2},
    }.get(operator, {"num_heads": 2})


def load(
    library: Path,
    operator: str,
    inputs: dict[str, Array],
    attributes: dict[str, float],
    constants: tuple[str, ...] = (),
) -> onnxruntime.InferenceSession:
    """With no function that would run where there is no operator."""
    return open_call(
        operator, inputs, attributes, constants=constants, library=library, is_function=False
    )


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "message"),
    [
        ("KeepSource", {"x": zeros(1, 2, 4)}, {}, "KeepSource: .*num_heads"),
        ("KeepSource", {"x": zeros(1, 2, 4)}, {"num_heads": 0}, "num_heads is 0, expected 1 to"),
        ("KeepSource", {"x": zeros(1, 2, 4)}, {"num_heads": 2**62}, "num_heads is 4611686018"),
        ("SourceAttention", SOURCE, {"num_heads": -1}, "num_heads is -1"),
        ("BeamAttention", BEAM, {}, "BeamAttention: .*num_heads"),
        ("SelfAttention", SELF, {"num_heads": 0}, "num_heads is 0"),
        ("BlockSparseAttention", SPARSE, PATTERN | {"block_size": 0}, "block_size is 0"),
        ("BlockSparseAttention", SPARSE, PATTERN | {"longest_full": -1}, "longest_full is -1"),
        ("AddLayerNormalization", NORM, {}, "AddLayerNormalization: .*epsilon"),
        ("AddLayerNormalization", NORM, {"epsilon": -0.5}, "epsilon is -0.50*, expected a number"),
        ("AddLayerNormalization", NORM, {"epsilon": np.nan}, "epsilon is -?nan, expected a number"),
        ("AddLayerNormalization", NORM, {"epsilon": np.inf}, "epsilon is inf, expected a number"),
        ("Int8Linear", PRODUCT | {"scale": zeros(4)}, {}, r"scale is \[4\], expected \[5\]"),
        ("Int8Linear", PRODUCT | {"scale": zeros()}, {}, r"scale is \[\], expected \[5\]"),
        ("Int8Linear", PRODUCT, {"transposed": 1}, r"scale is \[5\], expected \[4\]"),
        (
            "Int8Linear",
            PRODUCT | {"weight": whole(4, dtype=np.int8)},
            {},
            "weight is no constant matrix",
        ),
        (
            "Int8Linear",
            PRODUCT | {"weight": whole(0, 5, dtype=np.int8)},
            {},
            "weight is no constant matrix",
        ),
        (
            "Int8Linear",
            PRODUCT | {"weight": whole(65537, 5, dtype=np.int8)},
            {},
            "expected 65536 input channels at most",
        ),
    ],
)
def test_graphs_that_make_no_sense_are_not_loaded(
    operator: str,
    inputs: dict[str, Array],
    attributes: dict[str, float],
    message: str,
    library: Path,
) -> None:
    constants = CONSTANTS if operator == "Int8Linear" else ()
    with pytest.raises(Exception, match=message):
        load(library, operator, inputs, attributes, constants)


def test_a_scale_that_is_no_constant_is_refused(library: Path) -> None:
    with pytest.raises(Exception, match="scale is no constant, expected an initializer"):
        load(library, "Int8Linear", PRODUCT, {}, ("weight",))


@pytest.mark.parametrize(
    ("operator", "inputs", "change", "message"),
    [
        ("Int8Linear", PRODUCT, {"x": zeros(3, 5)}, r"x is \[3, 5\], expected \[3, 4\]"),
        ("Int8Linear", PRODUCT, {"bias": zeros(4)}, r"bias is \[4\], expected \[5\]"),
        ("KeepSource", {"x": zeros(1, 2, 4)}, {"x": zeros(1, 2, 5)}, "expected 2 heads of 1 to"),
        ("KeepSource", {"x": zeros(1, 2, 4)}, {"x": zeros(1, 2, 0)}, "expected 2 heads of 1 to"),
        ("KeepSource", {"x": zeros(1, 2, 4)}, {"x": zeros(1, 2, 6)}, "expected heads of even"),
        ("SourceAttention", SOURCE, {"query": zeros(1, 3, WIDE)}, "heads of 1 to 512 at the end"),
        ("SourceAttention", SOURCE, {"value": zeros(1, 2, 4, 8)}, r"value is \[1, 2, 4, 8\]"),
        ("SourceAttention", SOURCE, {"key": zeros(2, 2, 5, 8)}, r"key is \[2, 2, 5, 8\]"),
        (
            "SourceAttention",
            SOURCE,
            {"key": zeros(1, 2, 0, 8), "value": zeros(1, 2, 0, 8), "mask": whole(1, 0)},
            "key has no tokens",
        ),
        ("BeamAttention", BEAM, {"qkv": zeros(BEAMS, 3 * WIDE)}, "heads of 1 to 512 at the end"),
        ("BeamAttention", BEAM, {"qkv": zeros(BEAMS + 1, 48)}, r"past_key is \[2, 2, 6, 8\]"),
        ("BeamAttention", BEAM, {"qkv": zeros(BEAMS, 24)}, r"expected \[2, 2, 6, 4\]"),
        ("BeamAttention", BEAM, {"past_key": zeros(1, 2, TIME, 8)}, r"past_key is \[1, 2, 6, 8\]"),
        ("BeamAttention", BEAM, {"position": whole(2, dtype=np.int32)}, r"position is \[2\]"),
        ("BeamAttention", BEAM, {"position": whole(0, dtype=np.int32)}, r"position is \[0\]"),
        ("BeamAttention", BEAM, {"beam_width": whole(0, dtype=np.int32)}, r"beam_width is \[0\]"),
        (
            "BeamAttention",
            BEAM,
            {"beam_width": whole(1, dtype=np.int32, value=3)},
            "beam_width is 3, expected the 2 of indirection",
        ),
        (
            "BeamAttention",
            BEAM,
            {"indirection": whole(1, 0, TIME, dtype=np.int32)},
            r"indirection is \[1, 0, 6\], expected 2 rows",
        ),
        (
            "BeamAttention",
            BEAM,
            {"indirection": whole(2, BEAMS, TIME, dtype=np.int32)},
            r"indirection is \[2, 2, 6\], expected 2 rows",
        ),
        (
            "BeamAttention",
            BEAM,
            {"indirection": whole(1, BEAMS, TIME - 1, dtype=np.int32)},
            r"indirection is \[1, 2, 5\], expected \[1, 2, 6\]",
        ),
        ("SelfAttention", SELF, {"qkv": zeros(39, 48)}, r"qkv is \[39, 48\], expected \[40, 48\]"),
        ("SelfAttention", SELF, {"qkv": zeros(40, 47)}, "expected 6 heads of 1 to 512"),
        ("SelfAttention", SELF, {"qkv": zeros(40, 3 * WIDE)}, "expected 6 heads of 1 to 512"),
        ("SelfAttention", SELF, {"attention_mask": whole(2, 19)}, r"expected \[38, 48\]"),
        ("AddLayerNormalization", NORM, {"y": zeros(1, 16)}, r"y is \[1, 16\], expected \[3, 16\]"),
        ("AddLayerNormalization", NORM, {"y": zeros(3, 1)}, r"y is \[3, 1\], expected \[3, 16\]"),
        ("AddLayerNormalization", NORM, {"x": zeros(3, 17)}, r"y is \[3, 16\], expected"),
        ("AddLayerNormalization", NORM, {"weight": zeros(1)}, r"weight is \[1\], expected \[16\]"),
        ("AddLayerNormalization", NORM, {"bias": zeros(15)}, r"bias is \[15\], expected \[16\]"),
        ("LogSoftmaxTopK", TOP, {"k": whole(1, value=-1)}, "k is -1, expected 0 to the 5 columns"),
        ("LogSoftmaxTopK", TOP, {"k": whole(1, value=6)}, "k is 6, expected 0 to the 5 columns"),
        ("LogSoftmaxTopK", TOP, {"logits": zeros(2, 0)}, "k is 1, expected 0 to the 0 columns"),
        ("LogSoftmaxTopK", TOP, {"k": whole(2)}, r"k is \[2\], expected \[1\]"),
        ("LogSoftmaxTopK", TOP, {"k": whole(0)}, r"k is \[0\], expected \[1\]"),
        ("BlockSparseAttention", SPARSE, {"key": zeros(1, 19, 16)}, r"key is \[1, 19, 16\]"),
        ("BlockSparseAttention", SPARSE, {"attention_mask": whole(1, 9)}, r"mask is \[1, 9\]"),
        ("BlockSparseAttention", SPARSE, {"query": zeros(1, LENGTH, 15)}, "expected 2 heads of"),
        (
            "BlockSparseAttention",
            SPARSE,
            {"random_blocks": whole(2, 3, 1, value=-1)},
            "random_blocks has -1, expected blocks from 0 on",
        ),
        (
            "BlockSparseAttention",
            SPARSE,
            {"random_blocks": whole(2, 2, 1)},
            r"random_blocks is \[2, 2, 1\], expected \[2, 3 or more, r\]",
        ),
        (
            "BlockSparseAttention",
            SPARSE,
            {"random_blocks": whole(1, 3, 1)},
            r"random_blocks is \[1, 3, 1\], expected \[2, 3 or more, r\]",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    operator: str,
    inputs: dict[str, Array],
    change: dict[str, Array],
    message: str,
    library: Path,
) -> None:
    attributes = attributes_of(operator)
    constants = CONSTANTS if operator == "Int8Linear" else ()
    session = load(library, operator, inputs, attributes, constants)
    feeds = {name: array for name, array in inputs.items() if name not in constants}
    assert np.isfinite(session.run(None, feeds)[0].astype(np.float64)).all()
    with pytest.raises(Exception, match=f"{operator}: .*{message}"):
        session.run(None, feeds | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (BEAM, r"past_key is \[2, 2, 6, 8\], expected \[2, 2, 6, 4\]"),
        ({"qkv": zeros(BEAMS, 42)}, "expected heads of even size"),
    ],
    ids=["floats", "odd"],
)
def test_a_past_in_halves_has_half_as_many_words(
    change: dict[str, Array], message: str, library: Path
) -> None:
    halves = {name: zeros(BEAMS, 2, TIME, 4) for name in ("past_key", "past_value")}
    session = load(library, "BeamAttention", BEAM, {"num_heads": 2, "half": 1})
    session.run(None, BEAM | halves)
    with pytest.raises(Exception, match=message):
        session.run(None, BEAM | halves | change)


def test_two_blocks_are_too_few_for_a_pattern(library: Path) -> None:
    pattern = PATTERN | {"block_size": 10}
    session = load(library, "BlockSparseAttention", SPARSE, pattern)
    with pytest.raises(Exception, match="query has 2 blocks, expected three"):
        session.run(None, SPARSE)


@pytest.mark.parametrize(
    ("operator", "inputs", "change"),
    [
        ("Int8Linear", PRODUCT, {"x": zeros(0, 4)}),
        ("SourceAttention", SOURCE, {"query": zeros(1, 0, 16)}),
        ("KeepSource", {"x": zeros(1, 2, 4)}, {"x": zeros(1, 0, 4)}),
        ("KeepSource", {"x": zeros(1, 2, 4)}, {"x": zeros(0, 2, 4)}),
        ("SelfAttention", SELF, {"qkv": zeros(0, 48), "attention_mask": whole(0, LENGTH)}),
        ("SelfAttention", SELF, {"qkv": zeros(0, 48), "attention_mask": whole(2, 0)}),
        ("AddLayerNormalization", NORM, {name: zeros(0, 16) for name in "xy"}),
        ("LogSoftmaxTopK", TOP, {"logits": zeros(0, 5)}),
        ("LogSoftmaxTopK", TOP, {"logits": zeros(2, 0), "k": whole(1, value=0)}),
    ],
)
def test_nothing_gives_nothing(
    operator: str,
    inputs: dict[str, Array],
    change: dict[str, Array],
    library: Path,
) -> None:
    attributes = attributes_of(operator)
    constants = CONSTANTS if operator == "Int8Linear" else ()
    session = load(library, operator, inputs, attributes, constants)
    feeds = {name: array for name, array in inputs.items() if name not in constants}
    assert session.run(None, feeds | change)[0].size == 0
