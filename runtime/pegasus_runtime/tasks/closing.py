"""What holds an engine: in the process that loaded it, until it is closed."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Generic, TypeVar

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import BundleError, EngineError

__all__ = ["Closing"]

Self = TypeVar("Self", bound="Closing")  # type: ignore[type-arg]
_Engine = TypeVar("_Engine")


class Closing(Generic[_Engine]):
    """A bundle and its engine; closes at the end of a `with` block."""

    def __init__(self, bundle: Bundle, engine: _Engine) -> None:
        self.bundle = bundle
        self._engine: _Engine | None = engine
        self._process = os.getpid()

    def close(self) -> None:
        """Lets go of the engine and its memory."""
        self._engine = None

    def _open_engine(self) -> _Engine:
        """Raises: BundleError if it is closed; EngineError in a process that was forked since."""
        name = type(self).__name__
        if self._engine is None:
            raise BundleError(f"{self.bundle.folder}: the {name} is closed: load it again")
        if os.getpid() != self._process:
            raise EngineError(
                f"{self.bundle.folder}: the {name} was loaded before this process was forked, "
                "which has none of its threads: load it after the fork (gunicorn: without "
                "--preload), or start processes with multiprocessing's 'spawn'"
            )
        return self._engine

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
