"""Where bundles lie that were loaded by name, and what room there is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pegasus_runtime.diagnosis.finding import Finding
from pegasus_runtime.hub.cache_folder import CACHE_VARIABLE, cache_folder
from pegasus_runtime.hub.clear_entry import size_of
from pegasus_runtime.hub.entry import list_records

__all__ = ["find_cache"]

_HUB_VARIABLES = ("HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE")


def find_cache() -> list[Finding]:
    folder = cache_folder()
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    can_write = os.access(existing, os.W_OK)
    records = list_records()
    size = sum(size_of(Path(record.folder)) for _, record in records)
    free = shutil.disk_usage(existing).free
    return [
        Finding(
            name="folder",
            value=f"{folder}, {free / 2**30:.1f} GiB free",
            is_fine=can_write or False,
            advice="" if can_write else f"set {CACHE_VARIABLE} to a folder that can be written",
        ),
        Finding(name="bundles", value=f"{len(records)}, {size / 1e6:.1f} MB"),
        *(
            Finding(name=name, value=os.environ[name].rpartition("@")[2])  # no password
            for name in _HUB_VARIABLES
            if os.environ.get(name)
        ),
    ]
