"""Kernels for CPUs that another distribution has: ONNX Runtime takes them as custom operators.

Every graph can do without them: each of these operators is also a function of the graph, spelled
in operators of ONNX Runtime's own, which is inlined where nothing else is registered.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pegasus_runtime.errors import EngineError

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["ABI", "SWITCH", "Kernels", "NoKernels", "find_kernels", "look_for_kernels", "register"]

ABI = 1
"""What operators mean, to the graphs that call them and to who binds their arrays; the same number
in plugins/kernels/pegasus_edge_kernels/__init__.py."""
SWITCH = "PEGASUS_EDGE_KERNELS"
"""The environment variable that leaves them out, set to 0."""

_INSTRUCTIONS = "PEGASUS_EDGE_INSTRUCTIONS"
_MODULE = "pegasus_edge_kernels"
_INSTALL = "pip install -U 'pegasus-edge[fast]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """Those that this processor runs."""

    library: Path
    """What ONNX Runtime registers."""
    version: str
    """Of the distribution."""
    instructions: str
    """The set that they are compiled for: "avx2", "avx512", "avx512bf16" or "neon"."""
    operators: frozenset[str]
    """Names, in the domain pegasus_edge; those that are not among them run as spelled."""

    @property
    def keep_bfloat16(self) -> bool:
        """Whether what is kept in 16 bits is that, and no IEEE half."""
        return self.instructions.endswith("bf16")

    def __str__(self) -> str:
        return f"kernels {self.version} ({self.instructions})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoKernels:
    """Why ONNX Runtime's own operators run alone."""

    reason: str
    """ "" where nobody asked for others."""
    advice: str = ""

    def __str__(self) -> str:
        said = ": ".join(part for part in (self.reason, self.advice) if part)
        return f"stock operators ({said})" if said else "stock operators"


def find_kernels() -> Kernels | None:
    """The kernels of this computer, or None: `look_for_kernels` says why."""
    found = look_for_kernels()
    return found if isinstance(found, Kernels) else None


def look_for_kernels() -> Kernels | NoKernels:
    """Imports their module, which is installed or not; no bundle has a say in it.

    The library is loaded once, the environment is asked every time.
    """
    if os.environ.get(SWITCH) == "0":
        return NoKernels(reason=f"{SWITCH}=0")
    return _load()


@functools.cache
def _load() -> Kernels | NoKernels:
    try:
        module = importlib.import_module(_MODULE)
    except Exception as err:  # of a file that was cut short, such as SyntaxError
        if isinstance(err, ModuleNotFoundError) and err.name == _MODULE:
            return NoKernels(reason="")
        return NoKernels(reason=f"{_MODULE} cannot be imported: {err}", advice=_INSTALL)
    theirs = getattr(module, "ABI", None)
    if theirs != ABI:
        return NoKernels(
            reason=f"pegasus-edge-kernels {_version(module)} has operators of version {theirs}, "
            f"expected {ABI}",
            advice=_INSTALL,
        )
    library = getattr(module, "LIBRARY", None)
    if not isinstance(library, Path):
        return NoKernels(reason=f"{_MODULE} names no library", advice=_INSTALL)
    return _ask(library, _version(module))


def _ask(library: Path, version: str) -> Kernels | NoKernels:
    """What the library has for this processor; both answers are C strings that it keeps."""
    try:
        native = ctypes.CDLL(str(library))
        instructions, operators = (
            _call(native, f"{_MODULE}_{name}") for name in ("instructions", "operators")
        )
    except (OSError, AttributeError) as err:
        return NoKernels(reason=f"{library} cannot be loaded: {err}", advice=_INSTALL)
    if not instructions or not operators:
        asked = os.environ.get(_INSTRUCTIONS)
        named = "" if asked is None else f" with {_INSTRUCTIONS}={asked}"
        return NoKernels(reason=f"kernels {version} have none for this processor{named}")
    return Kernels(
        library=library,
        version=version,
        instructions=instructions,
        operators=frozenset(operators.split(",")),
    )


def _call(library: ctypes.CDLL, name: str) -> str:
    function = getattr(library, name)
    function.restype = ctypes.c_char_p
    return (function() or b"").decode()


def _version(module: ModuleType) -> str:
    return str(getattr(module, "__version__", "of an unknown version"))


def register(kernels: Kernels, options: onnxruntime.SessionOptions) -> None:
    """Has a session that is made with these options call them. Raises: EngineError."""
    try:
        options.register_custom_ops_library(str(kernels.library))
    except Exception as err:  # onnxruntime's exceptions share no base class
        said = (str(err).splitlines() or [type(err).__name__])[0]
        raise EngineError(
            f"{kernels.library}: ONNX Runtime does not take the kernels: {said}: {_INSTALL}, or "
            f"set {SWITCH}=0 to run without them"
        ) from err
