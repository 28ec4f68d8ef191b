"""Which way the operator is brought into TensorRT, and doing it.

- library  a C++ plugin, in a shared library: engines that need no Python
- python   `python_plugin.py`: needs this package wherever the engine runs
- aot      `aot_plugin.py`: the kernel is in the engine; only builds need this package. The last
           choice: TensorRT leaks memory where shapes change (NVIDIA/TensorRT#4849), and nothing can
           be split (`launch.py`)
"""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pegasus_plugins.aot_plugin import CompileAot, compile_aot, register_aot_plugin
from pegasus_plugins.cuda_calls import NOT_INSTALLED
from pegasus_plugins.plugin_error import PluginError
from pegasus_plugins.python_plugin import NEEDED_CLASSES, register_python_plugin
from pegasus_plugins.specification import NAME, NAMESPACE

__all__ = [
    "LIBRARY_VARIABLE",
    "PluginParts",
    "PluginWays",
    "Way",
    "choose_way",
    "find_plugin_library",
    "probe_ways",
    "register_plugin",
]

Way = Literal["library", "python", "aot"]
LIBRARY_VARIABLE = "PEGASUS_PLUGIN_LIBRARY"
"""In the environment: the path of the C++ plugin."""
_LIBRARY_FILE = Path(__file__).parent / "lib" / "libpegasus_block_sparse.so"
_LOCK = threading.Lock()
"""A TensorRT is given the operator once, by whichever of the threads that load comes first."""
_ORDER: tuple[Way, ...] = ("library", "python", "aot")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginParts:
    """What the operator is made of.

    plugin_library: the C++ plugin; None for the one that is found. kernels: the kernel file, for
    way python. with_plan, compile_kernel: for way aot, see `register_aot_plugin`.
    """

    plugin_library: Path | None = None
    kernels: Path | None = None
    with_plan: bool = False
    compile_kernel: CompileAot = compile_aot


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginWays:
    """What an installed TensorRT can take.

    usable: the best first. missing: of each other way, what it lacks and how to get it.
    plugin_library: the C++ plugin, if there is one.
    """

    usable: tuple[Way, ...]
    missing: dict[Way, str]
    plugin_library: Path | None


def probe_ways(library: Any, parts: PluginParts | None = None) -> PluginWays:
    """Whatever can be seen without a GPU and without loading anything.

    library: the module `tensorrt`. Raises: PluginError if it takes no plugins at all, which is so
    of TensorRT for RTX, or if a library that was named is not there.
    """
    parts = parts or PluginParts()
    _check_takes_plugins(library)
    plugin_library = find_plugin_library(parts.plugin_library)
    found: dict[Way, str | None] = {
        "library": _library_lacks(library, plugin_library),
        "python": _python_lacks(library, parts.kernels),
        "aot": _aot_lacks(library),
    }
    return PluginWays(
        usable=tuple(way for way in _ORDER if found[way] is None),
        missing={way: lack for way, lack in found.items() if lack is not None},
        plugin_library=plugin_library,
    )


def choose_way(ways: PluginWays, asked: Way | None = None) -> Way:
    """The way that was asked for, or the best. Raises: PluginError if it cannot be used."""
    if asked is not None and asked not in _ORDER:
        raise PluginError(f"there is no way {asked!r}, expected one of {', '.join(_ORDER)}")
    if asked is not None and asked in ways.missing:
        raise PluginError(f"way {asked} cannot be used: {ways.missing[asked]}")
    if asked is None and not ways.usable:
        lacks = "; ".join(f"{way}: {lack}" for way, lack in ways.missing.items())
        raise PluginError(f"TensorRT cannot be given {NAMESPACE}::{NAME}: {lacks}")
    return asked or ways.usable[0]


def register_plugin(library: Any, parts: PluginParts, way: Way | None = None) -> Way:
    """Makes the operator known to TensorRT, for builds and for engines; once, however often called.

    library: the module `tensorrt`. way: None for the best, or the one of the call before.
    Returns the way. Raises: PluginError; KernelFileError, OSError for the kernel file.
    """
    with _LOCK:
        state = _state(library)
        before = state.way
        if before is not None and way not in (None, before):
            raise PluginError(
                f"{library.__name__} was given {NAMESPACE}::{NAME} by way {before}, it cannot be "
                f"given by {way} in the same process: start another"
            )
        ways = probe_ways(library, parts)
        state.way = _register(library, parts, ways, choose_way(ways, way or before), state)
        return state.way


def _register(
    library: Any, parts: PluginParts, ways: PluginWays, chosen: Way, state: _State
) -> Way:
    if chosen == "library":
        assert ways.plugin_library is not None
        state.load(library, ways.plugin_library)
    elif chosen == "python":
        assert parts.kernels is not None
        register_python_plugin(library, parts.kernels)
    else:
        register_aot_plugin(library, with_plan=parts.with_plan, compile_kernel=parts.compile_kernel)
    return chosen


def find_plugin_library(named: Path | None = None) -> Path | None:
    """The C++ plugin: named, of the environment, or of this package; None if there is none.

    Raises: PluginError if one that was named is not there.
    """
    variable = os.environ.get(LIBRARY_VARIABLE)
    if named is None and variable:
        named = Path(variable)
        if not named.is_file():
            raise PluginError(
                f"{named} is not there, which {LIBRARY_VARIABLE} names: build the C++ plugin, or "
                "unset the variable"
            )
    if named is None:
        return _LIBRARY_FILE if _LIBRARY_FILE.is_file() else None
    if not named.is_file():
        raise PluginError(f"{named} is not there: build the C++ plugin, or name another file")
    return named


class _State:
    """What a TensorRT was given by this process."""

    def __init__(self) -> None:
        self.way: Way | None = None
        self._loaded: Path | None = None

    def load(self, library: Any, path: Path) -> None:
        real = path.resolve()
        if self._loaded is not None:
            if self._loaded != real:
                raise PluginError(
                    f"{library.__name__} has loaded {self._loaded} already, it cannot load {real} "
                    "too: start another process"
                )
            return
        handle = library.get_plugin_registry().load_library(str(path.absolute()))
        if handle is None:
            raise PluginError(
                f"{real}: {library.__name__} {library.__version__} did not load it: build it for "
                "this version of TensorRT, or bring the plugin in from one place only"
            )
        self._loaded = real


@functools.cache
def _state(library: Any) -> _State:
    return _State()


def _check_takes_plugins(library: Any) -> None:
    if hasattr(library, "IRuntimeCache"):  # of TensorRT for RTX, whose parser takes no plugins
        raise PluginError(
            f"{library.__name__} takes no plugins: export for --target trt, or without the plugin"
        )
    if not hasattr(library, "get_plugin_registry"):
        raise PluginError(
            f"{library.__name__} has no plugin registry: install the full TensorRT, pip install "
            "'pegasus-edge[trt]'"
        )


def _library_lacks(library: Any, plugin_library: Path | None) -> str | None:
    if not hasattr(library.get_plugin_registry(), "load_library"):
        return f"{library.__name__} loads no plugins: install TensorRT 10 or later"
    if plugin_library is None:
        return f"the C++ plugin is not built: build it and set {LIBRARY_VARIABLE} to its path"
    return None


def _python_lacks(library: Any, kernels: Path | None) -> str | None:
    if any(not hasattr(library, name) for name in NEEDED_CLASSES):
        return (
            f"{library.__name__} has no IPluginV3: install TensorRT 10 or later, pip install "
            "'pegasus-edge[trt]'"
        )
    if not _is_installed("cuda.bindings.driver"):
        return NOT_INSTALLED
    if kernels is None:
        return "no kernel file is given: compile one with python -m pegasus_plugins.compile_kernels"
    return None


def _aot_lacks(library: Any) -> str | None:
    if not hasattr(library, "QuickPluginCreationRequest"):
        return f"{library.__name__} has no ahead-of-time plugins: install TensorRT 10.9 or later"
    if not _is_installed("triton"):
        return "triton is not installed: pip install 'pegasus-edge[plugin]' (on Linux)"
    if not _is_installed("cuda.bindings.driver"):
        return NOT_INSTALLED
    return None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # a parent of it is missing
        return False
