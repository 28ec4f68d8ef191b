"""Where bundles lie that were loaded by name."""

import os
import sys
from pathlib import Path

__all__ = ["CACHE_VARIABLE", "cache_folder"]

CACHE_VARIABLE = "PEGASUS_EDGE_CACHE"


def cache_folder() -> Path:
    """PEGASUS_EDGE_CACHE, or the folder that the platform has for such things; made by nobody yet.

    Linux: XDG_CACHE_HOME or ~/.cache (XDG Base Directory Specification); macOS: ~/Library/Caches;
    Windows: %LOCALAPPDATA%.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(os.path.abspath(os.path.expanduser(given)))
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")
        return Path(local, "pegasus-edge", "Cache")
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~/Library/Caches/pegasus-edge"))
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored, as the specification says.
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "pegasus-edge")
