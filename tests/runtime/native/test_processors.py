"""Threads by default: what affinity and cgroups leave of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pegasus_runtime.native.processors import usable_processors

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="of systems that tell a process's affinity"
)


def _system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))


@pytest.mark.usefixtures("eight")
def test_affinity_counts_where_nothing_else_is_known(tmp_path: Path) -> None:
    assert usable_processors(tmp_path) == 8


@pytest.mark.usefixtures("eight")
def test_two_hardware_threads_of_a_core_count_once(tmp_path: Path) -> None:
    files = {
        f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 4},{cpu % 4 + 4}"
        for cpu in range(8)
    }
    assert usable_processors(_system(tmp_path, files)) == 4


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 8),
        ("150000 100000", 2),  # rounded up
        ("200000 100000", 2),
        ("20000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
        ("100000 0", 8),
        ("some words here", 8),
    ],
)
def test_the_quota_of_cgroup_v2_bounds_it(tmp_path: Path, quota: str, expected: int) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": quota}
    assert usable_processors(_system(tmp_path, files)) == expected


@pytest.mark.usefixtures("eight")
def test_the_least_quota_of_a_cgroup_and_its_parents_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/a.slice/b.service\n",
        "sys/fs/cgroup/a.slice/cpu.max": "300000 100000",
        "sys/fs/cgroup/a.slice/b.service/cpu.max": "500000 100000",
    }
    assert usable_processors(_system(tmp_path, files)) == 3


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("name", ["/", "/docker/0123"])  # the second is the host's: not seen here
def test_the_quota_of_cgroup_v1_bounds_it(tmp_path: Path, folder: str, name: str) -> None:
    files = {
        "proc/self/cgroup": f"5:memory:{name}\n4:cpu,cpuacct:{name}\n0::/\n",
        f"sys/fs/cgroup/{folder}/cpu.cfs_quota_us": "250000\n",
        f"sys/fs/cgroup/{folder}/cpu.cfs_period_us": "100000\n",
    }
    assert usable_processors(_system(tmp_path, files)) == 3


@pytest.mark.usefixtures("eight")
def test_no_quota_of_cgroup_v1_is_minus_one(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:cpu:/\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert usable_processors(_system(tmp_path, files)) == 8


def test_this_process_may_use_one_at_least() -> None:
    found = usable_processors()
    assert found is not None
    assert 1 <= found <= len(os.sched_getaffinity(0))


def test_a_system_that_does_not_say_is_left_to_onnx_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_processors() is None
