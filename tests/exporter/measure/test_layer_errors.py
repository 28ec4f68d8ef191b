"""Errors of layers, by what is stored of them."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from pegasus_engines.precision.convert import ContribConversion, PlanConversion
from pegasus_engines.precision.recipe import PrecisionRecipe, find_layers
from pegasus_engines.precision.residual_shift import ResidualShift
from pegasus_export.measure.activations import Observed, observe_inputs
from pegasus_export.measure.layer_errors import measure_layers
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.stages.graph_files import network_weights
from pegasus_runtime.bundle import Target

TinyPegasus = Callable[[str], Pegasus]
SOURCES = [[7, 30, 9, 60, 4, 1], [11, 12, 80, 1]]
SUMMARIES = [(20, 21, 22, 1), (23, 24, 1)]
KEPT = frozenset({"model.decoder.layers.0.fc1"})


@pytest.fixture
def pegasus(tiny_pegasus: TinyPegasus) -> Pegasus:
    return tiny_pegasus("PegasusForConditionalGeneration")


@pytest.fixture
def observed(pegasus: Pegasus) -> Observed:
    return observe_inputs(pegasus, SOURCES, SUMMARIES)


def errors_of(
    pegasus: Pegasus, observed: Observed, precision: str, target: Target
) -> dict[str, float]:
    weights = network_weights(pegasus)
    shift = ResidualShift(bits=4 if target != "ort" else 0)
    recipe = PrecisionRecipe(name=precision, target=target, kept=KEPT, residual_shift=shift)
    largest = {name: float(array.max()) for name, array in observed.largest.items()}
    conversion: ContribConversion | PlanConversion = ContribConversion(recipe=recipe)
    if target != "ort":
        measured = largest if recipe.measures_activations else None
        conversion = PlanConversion(recipe=recipe, block_size=None, largest=measured)
    stored = {name: ir.tensor(array) for name, array in conversion.store(weights)}
    return measure_layers(weights, stored, recipe, observed)


@pytest.mark.parametrize(
    ("precision", "target", "least", "most"),
    [
        ("int8", "ort", 2e-3, 0.05),
        ("int4", "ort", 5e-3, 0.5),
        ("int8", "trt", 2e-3, 0.1),
        ("int8", "trt-rtx", 1e-3, 0.02),
        ("int4", "trt-rtx", 1e-3, 0.5),
    ],
)
def test_layers_are_ranked_by_their_error_and_kept_ones_are_not(
    pegasus: Pegasus, observed: Observed, precision: str, target: Target, least: float, most: float
) -> None:
    errors = errors_of(pegasus, observed, precision, target)
    layers = {
        each.name
        for each in find_layers(network_weights(pegasus))
        if target == "ort" or not each.is_table
    }
    assert set(errors) == layers - KEPT
    assert list(errors.values()) == sorted(errors.values(), reverse=True)
    assert least < min(errors.values())
    assert max(errors.values()) < most


def test_fewer_bits_err_more(pegasus: Pegasus, observed: Observed) -> None:
    int8, int4 = (errors_of(pegasus, observed, each, "ort") for each in ("int8", "int4"))
    linear = [name for name in int8 if name != "model.shared"]
    assert all(int8[name] < int4[name] / 2 for name in linear)


def test_a_row_that_is_far_larger_spoils_no_other(pegasus: Pegasus, observed: Observed) -> None:
    rows = {name: array.copy() for name, array in observed.rows.items()}
    for array in rows.values():
        array[1] *= 1000
    loud = Observed(largest=observed.largest, rows=rows)
    errors = errors_of(pegasus, loud, "int8", "ort")
    assert max(errors.values()) < 0.05


def test_layers_that_were_not_seen_at_work_are_left_out(pegasus: Pegasus) -> None:
    assert errors_of(pegasus, Observed(), "int8", "ort") == {}


def test_a_layer_of_zeros_has_no_error(pegasus: Pegasus, observed: Observed) -> None:
    name = "model.encoder.layers.0.fc1"
    rows = dict(observed.rows) | {name: np.zeros_like(observed.rows[name])}
    silent = Observed(largest=observed.largest, rows=rows)
    assert errors_of(pegasus, silent, "int8", "ort")[name] == 0
