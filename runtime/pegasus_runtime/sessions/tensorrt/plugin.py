"""The plugin that a plan of TensorRT calls, made known to TensorRT before the plan is loaded."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pegasus_runtime.bundle import Bundle, PluginSpec, sha256_of_file
from pegasus_runtime.errors import EngineError

__all__ = ["bring_plugin"]

_WAYS = "pegasus_plugins.ways"
"""Not the runtime's, and imported only for plans that call a plugin: it is TensorRT's part of the
operator, which builds need too."""


def bring_plugin(bundle: Bundle, plugin: PluginSpec | None, library: Any) -> None:
    """As the plans were built with it: from the same library, or with the bundle's own kernels.

    library: the module of TensorRT. Raises: EngineError, which says what to install.
    """
    if plugin is None or plugin.way == "aot":  # the kernel is in the plan
        return
    ways = importlib.import_module(_WAYS)
    try:
        with _hold_library(bundle, plugin, ways) as found:
            parts = ways.PluginParts(plugin_library=found, kernels=bundle.path(plugin.kernels))
            ways.register_plugin(library, parts, plugin.way)
    except (RuntimeError, ValueError, OSError) as err:  # PluginError, KernelFileError
        raise EngineError(
            f"{bundle.folder}: its plans call plugin {plugin.operator}, way {plugin.way}: {err}"
        ) from err


@contextlib.contextmanager
def _hold_library(bundle: Bundle, plugin: PluginSpec, ways: Any) -> Iterator[Path | None]:
    """The very file that the plans were built with, by a path that leads to no other meanwhile."""
    if plugin.way != "library":
        yield None
        return
    install = (
        f"install the {plugin.library} of SHA-256 {plugin.library_sha256} and set "
        f"{ways.LIBRARY_VARIABLE} to its path, or build the plans again with pegasus-build"
    )
    what = f"{bundle.folder}: its plans call plugin {plugin.operator} of {plugin.library}"
    try:
        found: Path | None = ways.find_plugin_library()
    except RuntimeError as err:
        raise EngineError(f"{what}: {err}: {install}") from err
    if found is None:
        raise EngineError(f"{what}, which is not there: {install}")
    with found.open("rb") as file:
        held = Path(f"/proc/self/fd/{file.fileno()}")
        place = held if held.exists() else found
        if sha256_of_file(place) != plugin.library_sha256:
            raise EngineError(f"{what}, {found} is another one: {install}")
        yield place
