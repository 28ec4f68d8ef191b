"""TensorRT under its two names: `tensorrt` (target trt) and `tensorrt_rtx` (target trt-rtx).

What one offers and another does not is found out by looking for it, as version numbers of the two
say different things.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pegasus_runtime.errors import EngineError

__all__ = ["Flavour", "capability_table", "load_flavour", "network_flags", "tensorrt_version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    title: str
    module: str
    tool: str
    install: str


_LIBRARIES: Mapping[str, _Library] = {
    "trt": _Library(
        title="TensorRT",
        module="tensorrt",
        tool="tensorrt",
        install="pip install 'pegasus-edge[trt]', or on a Jetson take the system's: "
        "python3 -m venv --system-site-packages",
    ),
    "trt-rtx": _Library(
        title="TensorRT for RTX",
        module="tensorrt_rtx",
        tool="tensorrt-rtx",
        install="pip install 'pegasus-edge[rtx]'",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flavour:
    """One imported TensorRT.

    title: its name in messages; tool: its name in a manifest's `tools`; module: what was imported.
    """

    target: str
    title: str
    tool: str
    module: ModuleType

    @property
    def version(self) -> str:
        """Of the library; plans are loaded by the version that built them."""
        return str(self.module.__version__)


def load_flavour(target: str) -> Flavour:
    """Imports the TensorRT of a target.

    Raises: EngineError for other targets, and if the library is missing or cannot be loaded.
    """
    library = _LIBRARIES.get(target)
    if library is None:
        expected = " or ".join(_LIBRARIES)
        raise EngineError(f"target {target!r} is not one of TensorRT's: expected {expected}")
    try:
        module = importlib.import_module(library.module)
    except ImportError as err:  # also that of a shared library that is not there
        raise EngineError(f"{library.title} cannot be imported ({err}): {library.install}") from err
    return Flavour(target=target, title=library.title, tool=library.tool, module=module)


def tensorrt_version(target: str) -> str:
    """The version of a target's TensorRT. Raises: EngineError if it is not installed."""
    return load_flavour(target).version


def capability_table(flavour: Flavour) -> Mapping[str, Any]:
    """Compute capability -> how TensorRT calls it, of all GPUs that it builds for without them.

    Empty where it builds for the GPU at hand alone.
    """
    known = getattr(flavour.module, "ComputeCapability", None)
    if known is None or flavour.target == "trt":
        return {}
    names = [name for name in known.__members__ if name.startswith("SM") and name[2:].isdigit()]
    return {f"{name[2:-1]}.{name[-1]}": known.__members__[name] for name in names}


def network_flags(flavour: Flavour) -> int:
    """The flags of a network whose types are the graph's.

    TensorRT 10 has to be told so, later versions know no other networks.
    """
    flag = getattr(flavour.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)
