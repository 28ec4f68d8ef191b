"""CUDA's functions through cuda-bindings; one that fails says which, with what code, and why.

What launches kernels needs no more. The runtime's own calls are these too, and say what to do next.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from pegasus_plugins.plugin_error import PluginError

__all__ = ["NOT_INSTALLED", "CudaCallError", "CudaCalls", "import_cuda"]

NOT_INSTALLED = "cuda-bindings is not installed: pip install 'pegasus-edge[trt]'"


class CudaCallError(PluginError):
    """A function of CUDA's failed. code: the name of its error, such as "cudaErrorNoDevice"; empty
    where it could not be called at all."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


def import_cuda(part: Literal["driver", "runtime"]) -> Any:
    """`cuda.bindings.driver`, or `.runtime`. Raises: CudaCallError."""
    try:
        return importlib.import_module(f"cuda.bindings.{part}")
    except ImportError as err:
        raise CudaCallError(NOT_INSTALLED) from err


@dataclass(frozen=True, slots=True)
class CudaCalls:
    """`calls("cuCtxGetDevice")` gives the call's result, or raises CudaCallError.

    module: of `import_cuda`, or a stand-in for it.
    """

    module: Any

    def __call__(self, name: str, *arguments: Any) -> Any:
        """The result of the call called `name`, None if it has none."""
        try:
            error, *results = getattr(self.module, name)(*arguments)
        except RuntimeError as err:  # of cuda-bindings, which found no driver to call
            reason = " ".join(str(err).split())
            raise CudaCallError(
                f"{name} cannot be called: {reason}: install the NVIDIA driver"
            ) from err
        self.check(name, error)
        return results[0] if results else None

    def check(self, name: str, error: Any) -> None:
        """Raises: CudaCallError if a call called `name` returned an error."""
        if error == 0:
            return
        prefix = "cuda" if name.startswith("cuda") else "cu"
        code, text = (self._text(f"{prefix}GetError{kind}", error) for kind in ("Name", "String"))
        raise CudaCallError(f"{name} failed with {code} ({text})", code)

    def _text(self, name: str, error: Any) -> str:
        _, text = getattr(self.module, name)(error)
        return bytes(text or b"unknown").decode(errors="replace")
