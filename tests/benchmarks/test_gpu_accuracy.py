"""The GPU's accuracy benchmark, on the CPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gpu.accuracy import Accuracy, format_table, judge_rows, main
from pegasus_runtime.native.gpu import current_capability

ROW = Accuracy(
    checkpoint="mini",
    engine="trt-rtx",
    precision="fp16",
    documents=10,
    documents_changed=1,
    tokens=100,
    tokens_changed=2,
    rouge={"rouge1": 90.0, "rouge2": 80.0, "rougeL": 85.0},
    rouge_difference={"rouge1": 0.0, "rouge2": -0.2, "rougeL": 0.05},
)


def test_a_difference_counts_in_both_directions() -> None:
    better = {"rouge1": 0.0, "rouge2": 0.2, "rougeL": 0.0}
    for row in (ROW, replace(ROW, rouge_difference=better)):
        (verdict,) = judge_rows([row])
        assert verdict.target.name == "mini fp16: largest ROUGE difference"
        assert verdict.got == pytest.approx(0.2)
        assert verdict.met is False


def test_fp32_is_held_to_the_tokens_and_others_to_nothing() -> None:
    rows = [replace(ROW, precision="fp32"), replace(ROW, precision="int8")]
    (verdict,) = judge_rows([*rows, replace(ROW, engine="transformers")])
    assert (verdict.target.name, verdict.got) == ("mini fp32: tokens changed", 2.0)
    assert verdict.met is False


def test_a_precision_that_fails_has_its_reason_below_the_table() -> None:
    failed = Accuracy(
        checkpoint="mini", engine="trt", precision="int4", documents=10, error="no TensorRT"
    )
    header, row, other, reason = format_table([ROW, failed]).splitlines()
    assert "ROUGE-2" in header
    assert row.split()[-6:] == ["90.00", "80.00", "85.00", "+0.00", "-0.20", "+0.05"]
    assert other.endswith("not measured")
    assert reason == "mini, trt int4 was not measured: no TensorRT"
    assert judge_rows([failed]) == []


@pytest.mark.skipif(current_capability() is not None, reason="there is a GPU")
def test_without_a_gpu_there_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: this benchmark needs an NVIDIA GPU, and ")
    assert error.endswith("or pass --provider cpu\n")


def test_unknown_precisions_and_counts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--precisions", "fp64"], "--precisions: 'fp64' is none of fp32, fp16, int8, int4"),
        (["--checkpoints", "tiny"], "--checkpoints: 'tiny' is none of pegasus-mini, bigbird-mini"),
        (["--documents", "0"], "--documents is 0, expected 1 to "),
    ):
        with pytest.raises(SystemExit):
            main(options)
        assert message in capsys.readouterr().err


def test_fp32_graphs_have_transformers_tokens_on_the_cpu(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ["--provider", "cpu", "--checkpoints", "pegasus-mini", "--precisions", "fp32"]
    where = ["--work-dir", str(tmp_path), "--json", str(report)]
    assert main([*options, "--documents", "1", *where]) == 0
    theirs, ours = json.loads(report.read_text())["rows"]
    assert theirs["engine"] == "transformers"
    assert (ours["tokens"], ours["tokens_changed"]) == (theirs["tokens"], 0)
    assert ours["rouge"] == theirs["rouge"]
