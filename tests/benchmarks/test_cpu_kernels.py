"""The benchmark of kernels alone: its tables, and what it does where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime
import pytest

import cpu_kernels
from cpu_kernels import KernelTimes, make_tables
from harness import bench
from harness.kernel_cases import TINY, KernelCase, make_cases, make_model
from harness.workers.kernel_worker import LEAST_ROUNDS, KernelSettings, measure_case
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.kernels import Kernels

Array = npt.NDArray[Any]

LINEAR, SPARSE = "Int8Linear, 8 x 4 x 4", "BlockSparseAttention, 4096 tokens"
FULL = "Full attention, 4096 tokens"
SETTINGS = KernelSettings(threads=1, seconds=0.0, most_rounds=50, is_tiny=True)


def kernels_of(*operators: str) -> Kernels:
    library = Path("nowhere.so")
    return Kernels(
        library=library, version="0.1.0", instructions="avx2", operators=frozenset(operators)
    )


def test_every_case_runs_in_stock_operators_and_has_a_name_of_its_own() -> None:
    cases = make_cases(TINY)
    assert len({case.name for case in cases}) == len(cases)
    operators = {"Int8Linear", "KeepSource", "SourceAttention", "BeamAttention", "SelfAttention"}
    operators |= {"AddLayerNormalization", "BlockSparseAttention", "LogSoftmaxTopK"}
    assert {case.operator for case in cases} == operators
    firsts = {(case.operator, tuple(case.attributes)): case for case in cases}
    for case in firsts.values():
        times = measure_case(case, kernels_of(), SETTINGS)
        assert list(times) == ["stock"]
        assert len(times["stock"]) == LEAST_ROUNDS


def test_kernels_are_given_halves_of_what_stock_operators_are_given() -> None:
    case = next(each for each in make_cases(TINY) if each.halves)
    inputs = case.inputs()
    key, words = inputs["key"], case.for_kernels(inputs, np.float16)["key"]
    assert words.shape == (*key.shape[:3], key.shape[3] // 2)
    assert np.array_equal(words.view(np.float16), key.astype(np.float16))


def test_a_result_that_differs_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_cases(TINY)[0]

    def damaged(case: KernelCase, inputs: dict[str, Array], half: type) -> dict[str, Array]:
        return {**inputs, "x": 2 * inputs["x"]}

    monkeypatch.setattr(KernelCase, "for_kernels", damaged)
    monkeypatch.setattr("harness.workers.kernel_worker.register", lambda kernels, options: None)
    with pytest.raises(EngineError, match=r"ours differs by .*, so that nothing is timed"):
        measure_case(first, kernels_of("Int8Linear"), SETTINGS)


def test_weights_are_in_the_graph_and_all_else_is_an_input() -> None:
    case = make_cases(TINY)[0]
    model = ir.to_proto(make_model(case, case.inputs())).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["x"]


def test_ratios_are_of_the_same_process_and_shares_of_full_attention() -> None:
    first = {
        LINEAR: {"stock": [4.0, 2.0, 3.0], "ours": [1.5]},
        SPARSE: {"stock": [200.0], "ours": [50.0]},
        FULL: {"stock": [1000.0], "ours": [500.0]},
    }
    second = {LINEAR: {"stock": [5.0], "ours": [2.5]}, SPARSE: {"stock": [200.0]}}
    found = [
        KernelTimes(instructions="avx512", times=first),
        KernelTimes(instructions="avx2", times=second),
    ]
    tables = make_tables(found)
    table = tables["cpu_kernels"]
    assert table.cell(LINEAR, "stock") == 3.0
    assert table.cell(LINEAR, "stock / avx512") == 2.0
    assert table.cell(LINEAR, "stock / avx2") == 2.0
    assert table.cell(SPARSE, "avx2") is None
    share = tables["sparse_share"]
    assert share.cell("avx512, beside avx512", "of stock full attention") == 0.05
    assert share.cell("avx512, beside avx512", "of our full attention") == 0.1
    assert share.cell("stock, beside avx512", "of stock full attention") == 0.2


def test_without_kernels_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEGASUS_EDGE_KERNELS", "0")
    assert bench.run_script(cpu_kernels.run, ["--tiny"]) == 1
    assert "there are no kernels to measure: stock operators" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threads", "0"], "--threads is 0, expected 1 or more"),
        (["--rounds", "0"], "--rounds is 0, expected 1 or more"),
        (["--only", "Sofa"], "--only is 'Sofa', expected a part of an operator's name"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cpu_kernels.run(options)
    assert message in capsys.readouterr().err


def test_a_worker_that_ends_or_runs_something_else_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu_kernels, "WORKER", "harness.nowhere")
    with pytest.raises(EngineError, match="avx2: the worker ended with exit status 1"):
        cpu_kernels.measure_set("avx2", SETTINGS)
