"""Tables of a bundle, mapped."""

from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.bundle import map_table, open_bundle
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
