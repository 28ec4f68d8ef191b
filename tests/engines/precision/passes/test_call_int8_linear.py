"""Products of rounded rows become calls, whose bodies compute what was there, to the bit."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engines.precision.passes.test_rewrite_products import IDS, network, rewritten, weights
from engines.precision.products import run
from pegasus_engines.precision.passes.call_int8_linear import call_int8_linear
from pegasus_engines.precision.recipe import PrecisionRecipe

INT8 = PrecisionRecipe(name="int8")


@pytest.mark.parametrize("with_biases", [True, False])
def test_calls_compute_what_was_there(with_biases: bool, tmp_path: Path) -> None:
    model = rewritten(INT8, tmp_path, with_biases=with_biases)
    (expected,) = run(model, tmp_path, {"ids": IDS})
    assert call_int8_linear(model)
    (got,) = run(model, tmp_path, {"ids": IDS})
    np.testing.assert_array_equal(got, expected)


def test_nothing_is_left_of_what_rounded_rows(tmp_path: Path) -> None:
    model = rewritten(INT8, tmp_path)
    call_int8_linear(model)
    operators = Counter(node.op_type for node in model.graph)
    assert operators["Int8LinearBias"] == 2
    assert operators["Int8LinearTransposedBias"] == 1
    rounding = {"Abs", "ReduceMax", "Div", "QuantizeLinear", "MatMulIntegerToFloat", "QGemm"}
    assert not rounding & set(operators)
    assert not any(name.startswith("row_") for name in model.graph.initializers)


def test_there_is_a_function_for_each_kind_of_product(tmp_path: Path) -> None:
    model = rewritten(INT8, tmp_path)
    call_int8_linear(model)
    called = {node.op_identifier() for node in model.graph if node.domain == "pegasus_edge"}
    assert set(model.functions) == called
    names = {(name, overload) for _, name, overload in called}
    assert names == {("Int8LinearBias", ""), ("Int8LinearTransposedBias", "")}


def test_a_graph_in_fp32_stays_as_it_is() -> None:
    model = network(weights())
    before = [node.op_type for node in model.graph]
    assert not call_int8_linear(model)
    assert [node.op_type for node in model.graph] == before
    assert not model.functions
