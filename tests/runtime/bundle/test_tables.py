"""Tables of a bundle, mapped."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.bundle import let_go, map_table, open_bundle
from pegasus_runtime.errors import BundleError, EngineError

NAME = "model.shared.int8"


def test_a_table_is_the_rows_from_its_offset_on(folder: Path) -> None:
    bundle = open_bundle(folder)
    spec = bundle.manifest.tables[NAME]
    content = np.arange(1000, dtype=np.uint8).view(np.int8)
    content.tofile(bundle.path(spec.file))
    rows = map_table(bundle, NAME)
    assert (rows.shape, rows.dtype) == (spec.shape, np.int8)
    np.testing.assert_array_equal(rows.reshape(-1), content[: 31 * 32])
    assert not rows.flags.writeable


def test_a_table_that_is_not_there_or_too_short_is_named(folder: Path) -> None:
    bundle = open_bundle(folder)
    path = bundle.path(bundle.manifest.tables[NAME].file)
    path.write_bytes(b"short")
    with pytest.raises(EngineError, match=r"^.*model\.bin: cannot be mapped: "):
        map_table(bundle, NAME)
    path.unlink()
    with pytest.raises(BundleError, match=r"model\.bin: missing or unreadable"):
        map_table(bundle, NAME)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much of a file is mapped")
def test_pages_that_are_let_go_no_longer_count_and_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.bin"
    np.arange(2**24, dtype=np.int32).tofile(path)
    rows = np.memmap(path, np.int32, "r", 4096, (2**22,))
    expected = rows.sum(dtype=np.int64)
    assert _resident_kb(path) >= 2**14
    let_go(rows)
    assert _resident_kb(path) == 0
    assert rows.sum(dtype=np.int64) == expected
    let_go(np.zeros(3))  # which no file has


def _resident_kb(path: Path) -> int:
    maps = Path("/proc/self/smaps").read_text()
    found = re.search(rf"{re.escape(str(path))}\n.*?^Rss: +(\d+) kB", maps, re.M | re.S)
    assert found
    return int(found[1])
