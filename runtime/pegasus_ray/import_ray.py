"""Ray and fsspec, imported here and nowhere else, without what Ray tells its makers."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from pegasus_runtime.native.import_failure import explain_import_error

__all__ = ["import_fsspec", "import_ray_data", "import_ray_serve", "silence_ray"]

_NOWHERE = "http://127.0.0.1:9/"
_INSTALL = "pip install 'pegasus-edge[ray]'"


def silence_ray() -> None:
    """For clusters that this process starts: what is set already, stays.

    One that runs already was told by whoever started it. A head that is told to report nothing
    reports that, once, unless `ray.init` started it: to this computer then, where nobody listens
    (ray/dashboard/modules/usage_stats/usage_stats_head.py of Ray 2.60).
    """
    if os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0") == "0":
        os.environ.setdefault("RAY_USAGE_STATS_REPORT_URL", _NOWHERE)


def import_ray_data() -> ModuleType:
    """`ray.data`. Raises: EngineError if it is not installed."""
    return _import("ray.data")


def import_ray_serve() -> ModuleType:
    """`ray.serve`. Raises: EngineError if it is not installed."""
    return _import("ray.serve")


def import_fsspec() -> ModuleType:
    """`fsspec.core`. Raises: EngineError if it is not installed."""
    return _import("fsspec.core")


def _import(name: str) -> ModuleType:
    silence_ray()
    try:
        return importlib.import_module(name)
    except ImportError as err:
        raise explain_import_error(err, name.partition(".")[0], _INSTALL) from err
