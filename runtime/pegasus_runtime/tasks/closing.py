"""What holds an engine: in the process that loaded it, until it is closed."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.tasks.origin import Origin, reopen

__all__ = ["Closing"]

Self = TypeVar("Self", bound="Closing")  # type: ignore[type-arg]
_Engine = TypeVar("_Engine")


class Closing(Generic[_Engine]):
    """A bundle and its engine; closes at the end of a `with` block.

    Pickled, it is what `load` was given: another process opens an engine of its own.
    """

    def __init__(self, bundle: Bundle, engine: _Engine) -> None:
        self.bundle = bundle
        self.origin: Origin | None = None
        """How it was loaded, if it was."""
        self._engine: _Engine | None = engine
        self._process = os.getpid()

    @property
    def engine(self) -> str:
        """What runs the bundle, in a line for people, such as "ONNX Runtime 1.31.1, kernels 0.1.0
        (avx512)", or "…, stock operators" where there are none (docs/kernels.md).

        Raises: BundleError if it is closed.
        """
        from pegasus_runtime.sessions.open_engine import describe_engine  # when it is needed

        return describe_engine(self._check_open())

    def close(self) -> None:
        """Lets go of the engine and its memory."""
        self._engine = None

    def _open_engine(self) -> _Engine:
        """Raises: BundleError if it is closed; EngineError in a process that was forked since."""
        engine, name = self._check_open(), type(self).__name__
        if os.getpid() != self._process:
            raise EngineError(
                f"{self.bundle.folder}: the {name} was loaded before this process was forked, "
                "which has none of its threads: load it after the fork (gunicorn: without "
                "--preload), or start processes with multiprocessing's 'spawn'"
            )
        return engine

    def _check_open(self) -> _Engine:
        if self._engine is None:
            name = type(self).__name__
            raise BundleError(f"{self.bundle.folder}: the {name} is closed: load it again")
        return self._engine

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Raises: BundleError if it is closed; EngineError if it was not loaded from a bundle."""
        self._check_open()
        if self.origin is None:
            name = type(self).__name__
            raise EngineError(
                f"{self.bundle.folder}: the {name} was made of an engine, which cannot be pickled: "
                f"make it by {name}.load"
            )
        return reopen, (type(self), self.origin)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
