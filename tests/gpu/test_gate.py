"""The gate passes against the stand-ins, and damaged copies of the runtime do not pass it.

`make gpu-gate-mutations` tries every damaged copy; here are two, and whether the others apply.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu.__main__ import main
from gpu.cases import write_cases
from gpu.mutations import MUTATIONS, Mutation, damage, run_mutation
from gpu.parts import Part
from gpu.run_parts import run_parts
from gpu.setting import CASES, GRAPHS, KERNELS, GateSetting
from made_once import MadeOnce
from pegasus_plugins.kernel_file import write_kernel_file
from plugins.kernel_images import HALF, PLANNED, kernel_file

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = {
    "tiny": "PegasusForConditionalGeneration",
    "tinybird": "BigBirdPegasusForConditionalGeneration",
}
COUNT = 4
QUICK = ["--stand-ins", "--cases", str(COUNT), "--documents", "20"]
IN_CI = ("a copy reads the caller's array", "every document is the first of its batch")


@pytest.fixture(scope="module")
def prepared(
    made_once: MadeOnce, tiny_bundle: Callable[..., Path], tiny_checkpoint: Callable[..., Path]
) -> Path:
    bundles = {
        f"trt-rtx-{name}-fp32": tiny_bundle(model, "trt-rtx", "fp32")
        for name, model in MODELS.items()
    }
    checkpoints = {name: tiny_checkpoint(model) for name, model in MODELS.items()}

    def write(root: Path) -> None:
        for name, folder in bundles.items():
            shutil.copytree(folder, root / GRAPHS / name)
        for name, checkpoint in checkpoints.items():
            graphs = root / GRAPHS / f"trt-rtx-{name}-fp32"
            write_cases(graphs, checkpoint, root / CASES / f"{name}.json", COUNT)
        write_kernel_file(root / KERNELS, kernel_file(HALF, PLANNED, capability="8.9"))

    return made_once.folder("gpu-gate", write)


@pytest.fixture(autouse=True)
def _paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the child processes, which are not pytest's."""
    paths = [str(REPOSITORY / "tests"), str(REPOSITORY / "benchmarks")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]))


def setting_of(prepared: Path, work: Path) -> GateSetting:
    return GateSetting(
        prepared=prepared, work=work, stand_ins=True, num_cases=COUNT, num_documents=20
    )


def test_every_part_passes_against_the_stand_ins(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "build" / "gate.json"
    status = main([*QUICK, "--prepared", str(prepared), "--json", str(report)])
    table = capsys.readouterr().out
    assert status == 0, table
    found = json.loads(report.read_text())
    verdicts = {part["part"]: part["verdict"] for part in found["parts"]}
    skipped = {name for name, verdict in verdicts.items() if verdict == "skipped"}
    assert found["stand_ins"] is True
    assert table.startswith("card NVIDIA Fake, compute capability 8.9, ")
    assert set(verdicts.values()) == {"right", "skipped"}
    assert skipped == {
        "kernels, sanitized",
        "plugin, aot",
        "plugin, library",
        "plugin, python",
        "plugin, without TensorRT",
    }
    assert {f"plan trt-rtx-{name}-fp32" for name in MODELS} <= set(verdicts)
    assert "0 of 16 parts are bad, 5 skipped" in table.splitlines()[-1]


@pytest.mark.parametrize("name", IN_CI)
def test_a_damaged_copy_fails(name: str, prepared: Path, tmp_path: Path) -> None:
    (mutation,) = (each for each in MUTATIONS if each.name == name)
    found = run_mutation(setting_of(prepared, tmp_path), mutation)
    assert found is not None
    assert found.verdict == "WRONG"
    assert found.part.startswith(mutation.part)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_applies(mutation: Mutation, tmp_path: Path) -> None:
    damage(mutation, tmp_path)


def test_a_mutation_that_no_longer_applies_says_so(tmp_path: Path) -> None:
    gone = Mutation(name="gone", file="cuda/device.py", old="not there", new="")
    with pytest.raises(ValueError, match=r"^mutation 'gone': 'not there' stands 0 times in sessi"):
        damage(gone, tmp_path)


def test_a_part_that_is_not_there_is_told(
    prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--prepared", str(prepared), "--part", "nothing"]) == 2
    assert (
        "error: there is no part 'nothing', expected of machine, copies" in capsys.readouterr().err
    )


def test_without_what_was_prepared_nothing_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--prepared", str(tmp_path)]) == 2
    assert "has no graphs: run make gpu-prepare" in capsys.readouterr().err


def write_part(folder: Path, source: str) -> None:
    """A module in place of the child's, which is what a part's process runs."""
    (folder / "gpu").mkdir()
    (folder / "gpu" / "__init__.py").touch()
    (folder / "gpu" / "child.py").write_text(source)


@pytest.mark.parametrize(
    ("source", "verdict", "said"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "CRASHES", "SIGSEGV: no word"),
        ("raise SystemExit('out of luck')", "CRASHES", "exit status 1: out of luck"),
        ("import time\ntime.sleep(60)", "HANGS", "after 1 s"),
    ],
)
def test_a_part_that_crashes_or_hangs_is_told_and_the_next_one_runs(
    source: str, verdict: str, said: str, tmp_path: Path
) -> None:
    write_part(tmp_path, source)
    parts = [Part(name=name, run=lambda setting: {}, timeout_s=1) for name in ("one", "two")]
    found = run_parts(
        setting_of(tmp_path, tmp_path / "work"),
        parts,
        environment={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert [(x.part, x.verdict, x.said) for x in found] == [
        (name, verdict, said) for name in ("one", "two")
    ]
