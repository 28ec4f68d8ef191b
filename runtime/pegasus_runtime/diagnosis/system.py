"""Python, the operating system, the processor and its memory."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from pegasus_runtime.diagnosis.finding import Finding
from pegasus_runtime.version import __version__

__all__ = ["find_system"]

# What ONNX Runtime's products use, the fastest last (Linux' and Apple's names).
_INSTRUCTIONS = (
    "sse4_1",
    "avx",
    "fma",
    "avx2",
    "f16c",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


def find_system() -> list[Finding]:
    return [
        Finding(name="pegasus-edge", value=__version__),
        Finding(name="Python", value=f"{platform.python_version()} in {sys.prefix}"),
        Finding(name="system", value=f"{platform.platform()}, {platform.machine()}"),
        Finding(name="processor", value=_processor()),
        Finding(name="instruction sets", value=_instruction_sets()),
        Finding(name="cores", value=_cores()),
        Finding(name="memory", value=_memory()),
    ]


def _processor() -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return match.group(1) if match else platform.processor() or "unknown"


def _instruction_sets() -> str:
    """Those that matter to the products of a network, of all that the processor has."""
    match = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    if match is None:
        return "unknown here"
    flags = set(match.group(1).split())
    return " ".join(name for name in _INSTRUCTIONS if name in flags) or "none of those looked for"


def _cores() -> str:
    """Those of the machine, of this process, and what a container leaves of them."""
    text = f"{os.cpu_count()}"
    if hasattr(os, "sched_getaffinity"):
        text += f", {len(os.sched_getaffinity(0))} for this process"
    quota = _read(_CGROUP_CPU).split()
    if len(quota) == 2 and quota[0].isdigit():
        text += f", time of {int(quota[0]) / int(quota[1]):g} (a container's limit)"
    threads = [f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS",) if name in os.environ]
    return ", ".join([text, *threads])


def _memory() -> str:
    meminfo = dict(re.findall(r"^(\w+):\s+(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE))
    if "MemTotal" not in meminfo:
        return "unknown here"
    text = f"{int(meminfo['MemTotal']) / 2**20:.1f} GiB"
    if "MemAvailable" in meminfo:
        text += f", {int(meminfo['MemAvailable']) / 2**20:.1f} GiB available"
    limit = _read(_CGROUP_MEMORY).strip()
    if limit.isdigit():
        text += f", {int(limit) / 2**30:.1f} GiB for this container"
    return text


def _read(path: Path | str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
