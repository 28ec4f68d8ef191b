"""How many processors this process may use: those of its affinity, and a container's quota.

ONNX Runtime starts as many threads as the machine has cores. Under `taskset`, or in a container
that may use the time of two of 64 cores, most of these would wait for each other.
"""

import math
import os
from pathlib import Path

__all__ = ["usable_processors"]

_ROOT = Path("/")
_TOPOLOGY = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def usable_processors(root: Path = _ROOT) -> int | None:
    """Cores that this process may run on, or the quota of its cgroups, rounded up, if that is less.

    Two hardware threads of a core count as one: they share its arithmetic. root: of /proc and /sys.
    None where the system does not say (macOS, Windows): then ONNX Runtime's own count is as good.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = len({_siblings(root, cpu) for cpu in os.sched_getaffinity(0)})
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(root))]))


def _siblings(root: Path, cpu: int) -> str:
    """What all hardware threads of one core have in common; their own where nothing is known."""
    return _read(root / _TOPOLOGY.format(cpu)).strip() or str(cpu)


def _quotas(root: Path) -> list[float]:
    """Processors' worth of time that each cgroup of this process allows, from its own up."""
    found = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "":  # cgroup v2
            folders, read = ["sys/fs/cgroup"], _quota_v2
        elif "cpu" in controllers.split(","):  # v1
            folders, read = [f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"], _quota_v1
        else:
            continue
        # A container without a namespace of its own is told its name on the host, of which it sees
        # no folder but the mounted one: a name's parents are looked at, too, up to the mount.
        for folder in folders:
            path = Path(name.lstrip("/"))
            for each in (path, *path.parents):
                quota = read(root / folder / each)
                found += [] if quota is None else [quota]
    return found


def _quota_v2(folder: Path) -> float | None:
    """From cpu.max: microseconds of a period, or "max"."""
    return _ratio(_read(folder / "cpu.max").split())


def _quota_v1(folder: Path) -> float | None:
    """From two files; a quota of -1 is none."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    return _ratio([_read(folder / name).strip() for name in names])


def _ratio(parts: list[str]) -> float | None:
    if len(parts) != 2 or not all(part.isdigit() for part in parts) or int(parts[1]) == 0:
        return None
    return int(parts[0]) / int(parts[1])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
