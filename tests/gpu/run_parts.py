"""Every part in a process of its own, with a time limit: a crash or a hang is one part's alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gpu.parts import Part
from gpu.setting import GateSetting, Outcome, write_setting

__all__ = ["BAD", "run_parts"]

BAD = ("WRONG", "CRASHES", "HANGS")


def run_parts(
    setting: GateSetting,
    parts: Sequence[Part],
    *,
    stop_early: bool = False,
    environment: Mapping[str, str] | None = None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """stop_early: after the first that is bad. environment: of the processes; None: this one's."""
    setting.work.mkdir(parents=True, exist_ok=True)
    write_setting(setting, setting.work / "setting.json")
    outcomes = []
    for part in parts:
        outcomes.append(_run_part(setting, part, environment))
        on_outcome(outcomes[-1])
        if stop_early and outcomes[-1].verdict in BAD:
            break
    return outcomes


def _run_part(setting: GateSetting, part: Part, environment: Mapping[str, str] | None) -> Outcome:
    name = "".join(x if x.isalnum() else "-" for x in part.name)
    result, log = setting.work / f"{name}.json", setting.work / f"{name}.log"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "gpu.child", part.name]
    command += [str(setting.work / "setting.json"), str(result)]
    started = time.monotonic()
    with log.open("wb") as file:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            start_new_session=True,
        )
        try:
            status = child.wait(part.timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            status = None
    outcome = _read_outcome(part, result, log, status)
    outcome.seconds = time.monotonic() - started
    return outcome


def _read_outcome(part: Part, result: Path, log: Path, status: int | None) -> Outcome:
    """status: of the process; None if it was killed for its time. One that crashes as it ends is
    told, too, whatever it had found by then."""
    if status is None:
        return Outcome(part=part.name, verdict="HANGS", said=f"after {part.timeout_s:.0f} s")
    if status != 0 or not result.exists():
        lines = log.read_text("utf-8", errors="replace").strip().splitlines() or ["no word"]
        why = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return Outcome(part=part.name, verdict="CRASHES", said=f"{why}: {lines[-1]}")
    return Outcome(**json.loads(result.read_text("utf-8")))
