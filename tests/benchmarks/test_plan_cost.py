"""What plans cost: the arithmetic, and a tiny shape from checkpoint to plans."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from measure import Measurement
from plan_cost import (
    BIGBIRD,
    BuildCost,
    CommandCost,
    command_cost,
    count_parameters,
    format_table,
    judge_costs,
    main,
    parse_arguments,
    shapes_from_arguments,
)
from xsum_shape import XSUM

COST = CommandCost(wall_s=1.0, peak_rss_bytes=300, peak_anonymous_bytes=200, beyond_weights_x=2.0)
BUILT = BuildCost(
    shape="xsum",
    precision="fp16",
    weights_bytes=100,
    export=COST,
    build=replace(COST, beyond_weights_x=2.6),
    plan_bytes=90,
    table_bytes=18,
    size_x=1.08,
)


def test_memory_beyond_the_weights_is_the_peak_less_them() -> None:
    measured = Measurement(
        wall_s=1.234,
        peak_rss_bytes=350,
        peak_anonymous_bytes=300,
        largest_process_bytes=350,
    )
    cost = command_cost(measured, weights_bytes=100)
    assert cost == CommandCost(
        wall_s=1.23, peak_rss_bytes=350, peak_anonymous_bytes=300, beyond_weights_x=2.5
    )


def test_parameters_are_counted_from_the_header(tmp_path: Path) -> None:
    save_file(
        {"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float16)}, tmp_path / "weights"
    )
    assert count_parameters(tmp_path / "weights") == 17


def test_each_command_and_the_size_are_held_to_their_targets() -> None:
    int8 = replace(BUILT, precision="int8", size_x=2.0)
    verdicts = judge_costs([BUILT, int8])
    assert [(x.target.name, x.met) for x in verdicts] == [
        ("xsum fp16: memory of the export beyond weights", True),
        ("xsum fp16: memory of the build beyond weights", False),
        ("xsum fp16: plans and table", True),
    ]


def test_a_precision_that_fails_is_a_row_without_figures_and_a_reason() -> None:
    failed = BuildCost(shape="xsum", precision="int4", weights_bytes=100, error="error: no")
    table = format_table([BUILT, failed]).splitlines()
    assert table[1].endswith("1.080 x")
    assert table[2].split() == ["xsum", "int4", "0.00", "GiB"]
    assert table[3] == "xsum int4 failed: error: no"
    assert judge_costs([replace(failed, precision="fp16")])[0].met is None


def test_the_default_shapes_are_the_published_ones() -> None:
    assert shapes_from_arguments(parse_arguments([])) == {"xsum": XSUM, "bigbird": BIGBIRD}
    small = shapes_from_arguments(parse_arguments(["--shape", "bigbird", "--layers", "2"]))
    assert small == {"bigbird": replace(BIGBIRD, encoder_layers=2, decoder_layers=2)}


def test_an_unknown_precision_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--precisions", "fp16,fp4"])
    assert "--precisions: 'fp4' is none of fp16, int8, int4" in capsys.readouterr().err


def test_a_tiny_shape_is_exported_built_and_deleted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorrt_rtx")
    options = ["--layers", "1", "--d-model", "64", "--vocabulary", "400", "--positions", "64"]
    report = tmp_path / "report.json"
    where = ["--shape", "xsum", "--compute-capability", "8.9"]
    status = main([*options, *where, "--work-dir", str(tmp_path), "--json", str(report)])
    assert status == 0
    (cost,) = json.loads(report.read_text())["costs"]
    assert cost["error"] is None
    assert cost["plan_bytes"] > 0
    assert cost["table_bytes"] == 400 * 64 * 2
    assert cost["build"]["peak_rss_bytes"] > 2**20
    assert not list(tmp_path.glob("*-plans")) + list(tmp_path.glob("*-onnx"))
    assert "these only show that the script works" in capsys.readouterr().out
