"""The figures of one call on a GPU: the plan, the arithmetic and the isolation, without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gpu_figures
from attention.work import Peaks
from block_sparse import SparseTimes, batch_table
from gpu_figures import (
    LIMIT_S,
    SIZES,
    STAGES,
    Goal,
    Stage,
    carried,
    goals_table,
    judge,
    read_tables,
)
from harness.engines import ENGINES
from harness.prepare import (
    PlanSizes,
    choose_command,
    graphs_command,
    graphs_folder,
    made_from,
)
from harness.table import Table
from latency import DETAIL
from pegasus_runtime.native.gpu import current_capability

PEAKS = Peaks(bytes_per_s=4e12, operations_per_s=800e12)


def detail_of(**documents_ms: float) -> dict[str, Any]:
    """As latency.py reports; other columns are not looked at. Names have _ for -."""
    rows = tuple(
        (f"batch 1, {ENGINES['cuda'][name.replace('_', '-')].title}", ms, *[None] * 6, "")
        for name, ms in documents_ms.items()
    )
    return {
        "tables": {
            "detail": Table(columns=DETAIL, rows=tuple(r[: len(DETAIL)] for r in rows)).to_json()
        }
    }


def sparse_of(**times: float) -> dict[str, Any]:
    found = [
        SparseTimes(batch=1, tokens=int(n[1:]), rounds_ms={"ours": [1.0], "dense flash": [ms]})
        for n, ms in times.items()
    ]
    return {"tables": {"batch 1": batch_table(found, PEAKS).to_json()}}


def test_goals_are_held_against_the_fastest_of_ours_and_of_eager_transformers() -> None:
    latency = detail_of(
        pegasus_edge_trt_rtx_fp16=80.0,
        pegasus_edge_trt_fp16=50.0,
        transformers_fp16=500.0,
        transformers_bf16=390.0,
    )
    tables = read_tables({"latency": latency, "attention": sparse_of(n4096=2.9, n16384=12.0)})
    goals = judge(tables)
    assert [(x.found, x.verdict) for x in goals] == [
        (50.0, "met"),
        (pytest.approx(7.8), "MISSED"),
        (pytest.approx(2.9), "MISSED"),
        (pytest.approx(12.0), "met"),
    ]
    assert goals_table(goals).shown("ms per document, batch 1", "found") == "50.0"


def test_what_was_not_measured_is_no_goal_missed() -> None:
    verdicts = {goal.verdict for goal in judge(read_tables({"latency": detail_of()}))}
    assert verdicts == {"not measured"}
    assert Goal(name="", asked=1, found=1.0).verdict == "met"


def test_stages_fit_into_the_time_and_name_known_engines() -> None:
    assert sum(stage.limit_s for stage in STAGES) <= LIMIT_S
    for stage in STAGES:
        if "--engines" in stage.arguments:
            names = stage.arguments[stage.arguments.index("--engines") + 1].split(",")
            assert set(names) <= set(ENGINES["cuda"])


def test_a_stage_that_hangs_or_fails_hides_no_other(tmp_path: Path) -> None:
    scripts = {
        "hangs": "import time; time.sleep(60)",
        "fails": "raise SystemExit(3)",
        "works": "import sys, pathlib; pathlib.Path(sys.argv[-1]).write_text('{}')",
    }
    for name, source in scripts.items():
        (tmp_path / f"{name}.py").write_text(source)
    stages = [
        Stage(
            name=name,
            script=str(tmp_path / f"{name}.py"),
            arguments=(),
            limit_s=0.5 if name == "hangs" else 30,
        )
        for name in scripts
    ]
    assert gpu_figures.run_stages(stages, tmp_path) == {
        "hangs": "killed after 0 s",
        "fails": "ended with exit status 3",
        "works": "done",
    }
    assert stages[2].report(tmp_path).read_text() == "{}"


def test_a_dry_run_says_what_would_run_and_what_is_carried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "xsum-shape"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(2_500_000))
    gpu_figures.run(["--dry-run", "--work-dir", str(tmp_path)])
    said = capsys.readouterr().out
    assert "latency, at most 250 s:" in said
    assert "latency.py --device cuda --rounds 3 --batch 1,8 --engines pegasus-edge-trt-rtx" in said
    table = carried(tmp_path, ["numpy", "no-such-package"])
    assert table.cell("xsum-shape", "MB") == 2.5
    assert table.cell("package no-such-package", "MB") is None
    total = table.cell("all", "MB")
    assert isinstance(total, float)
    assert total > 10


def test_plans_are_built_of_graphs_that_were_made_of_the_same_things(tmp_path: Path) -> None:
    engine, checkpoint = ENGINES["cuda"]["pegasus-edge-trt-rtx-fp16"], tmp_path / "xsum-shape"
    checkpoint.mkdir()
    (checkpoint / "shape.json").write_text("{}")
    for sizes, mark, module in (
        (SIZES, "", "pegasus_export.command.main"),
        (SIZES, made_from(engine, checkpoint, SIZES), "pegasus_engines.command.build"),
        (PlanSizes(), made_from(engine, checkpoint, SIZES), "pegasus_export.command.main"),
    ):
        graphs = graphs_folder(engine, checkpoint, tmp_path)
        graphs.with_name(f"{graphs.name}.made-from.json").write_text(mark)
        command = choose_command(engine, checkpoint, tmp_path, sizes)
        assert module in command
        assert "current" in command
    command = graphs_command(engine, checkpoint, tmp_path, SIZES)
    assert "--onnx-only" in command
    assert "current" not in command


def test_without_a_gpu_it_says_so() -> None:
    if current_capability() is not None:
        pytest.skip("there is a GPU")
    from harness.gpu import NoGpuError

    with pytest.raises(NoGpuError, match="--dry-run says what it would do"):
        gpu_figures.run([])
