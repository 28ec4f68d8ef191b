"""What a reader needs to judge figures: the machine, its packages, the commit, the command."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = (
    *("pegasus-edge", "ctranslate2", "numpy", "onnx", "onnxruntime", "onnxscript", "torch"),
    *("transformers", "cuda-bindings", "onnxruntime-gpu", "tensorrt"),
    *(f"tensorrt-{library}cu{cuda}" for library in ("", "rtx-") for cuda in (12, 13)),
)


def describe_machine() -> dict[str, str | int]:
    """Hardware and versions."""
    versions = {name: version for name in PACKAGES if (version := package_version(name))}
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def made_by(command: str) -> Mapping[str, str]:
    """The command, the commit that it ran at, and the day."""
    today = datetime.now(timezone.utc).date().isoformat()
    return {"command": command, "commit": _commit(), "date": today}


def package_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(REPOSITORY), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return f"{commit} with local changes" if git("status", "--porcelain") else commit
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
