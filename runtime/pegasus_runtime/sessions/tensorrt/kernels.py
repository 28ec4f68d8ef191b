"""The kernels that TensorRT for RTX compiled for this GPU, kept from one process to the next."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pegasus_runtime.bundle import replace_file
from pegasus_runtime.errors import EngineError

__all__ = ["KernelCache"]

_LOG = logging.getLogger(__name__)


class KernelCache:
    """An IRuntimeCache that all graphs of a bundle share, and the file that it is kept in.

    The file holds code for the GPU: load only one that you trust.
    """

    def __init__(self, path: Path | None) -> None:
        """path: None keeps the kernels for this process only.

        Raises: EngineError if there can be no such file.
        """
        self.path = path
        self._cache: Any = None
        self._saved = b""
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._saved = path.read_bytes() if path.exists() else b""
            except OSError as err:
                raise EngineError(
                    f"{path}: cannot keep compiled kernels: {err.strerror}: choose another "
                    "runtime_cache, or none"
                ) from err

    def attach(self, config: Any) -> None:
        """Lets the contexts of an IRuntimeConfig use and add kernels. Raises: EngineError."""
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            if self._saved and not self._cache.deserialize(self._saved):
                _LOG.warning(
                    "%s: its kernels are for another GPU, driver or version: they are compiled "
                    "again, which takes a while, and replaced",
                    self.path,
                )
                self._saved = b""
        if not config.set_runtime_cache(self._cache):
            raise EngineError(
                "TensorRT for RTX refused its own runtime cache: give no runtime_cache, and report "
                "this"
            )

    def save(self) -> None:
        """Writes the file anew if there are kernels that it lacks; it is whole at any time."""
        if self.path is None or self._cache is None:
            return
        kernels = bytes(self._cache.serialize())
        if kernels == self._saved:
            return
        try:
            replace_file(self.path, kernels)
        except OSError as err:
            # What the kernels compute is right without the file; only the next start is slower.
            _LOG.warning("%s: compiled kernels cannot be kept: %s", self.path, err.strerror)
            self.path = None
            return
        self._saved = kernels
