"""Programs that load by name, each a process of its own: HF_* are read when it is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Place"]


@dataclass(frozen=True)
class Place:
    """A hub, and caches of one's own."""

    url: str
    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "HF_ENDPOINT": self.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(self.folder / "hf"),
            "HF_TOKEN": "may-write",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "PEGASUS_EDGE_CACHE": str(self.cache),
        }
        return os.environ | own

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *command],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, program: str, **values: Any) -> Any:
        """The JSON that a program prints in its last line; it finds the values in `given`."""
        head = f"import json\ngiven = json.loads({json.dumps(values)!r})\n"
        child = self.start("-c", head + program)
        printed, said = child.communicate()
        assert child.returncode == 0, said
        return json.loads(printed.splitlines()[-1])


def read_files(folder: Path) -> dict[str, bytes]:
    """What a hub serves of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def names_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def only(values: Mapping[str, Any]) -> Any:
    (value,) = values.values()
    return value
