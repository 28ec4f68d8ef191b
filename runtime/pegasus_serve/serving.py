"""The state of a server: its models, its limits, what runs, and whether it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from pegasus_serve.served.models import Model
from pegasus_serve.settings import Settings
from pegasus_serve.telemetry.logs import Log
from pegasus_serve.telemetry.metrics import Metrics

__all__ = ["Serving"]

_ENCODERS = 2
"""Threads in which documents become tokens."""
_LONG_CHARACTERS = 200_000
"""Of a request's texts together, from which on they are read one after another in a thread of
their own: the tokens of megabytes take memory and seconds, and short texts need not wait."""


class Serving:
    """What all parts of one app share."""

    def __init__(
        self,
        models: Mapping[str, Model],
        settings: Settings,
        *,
        log: Log,
        on_failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """on_failed: told, in the loading thread, when a model cannot be loaded."""
        self.models = models
        self.settings = settings
        self.log = log
        self.is_stopping = False
        self.in_flight = 0
        """Requests that are worked on, those for probes not counted."""
        self.failure: Exception | None = None
        self.metrics = Metrics(
            models, is_ready=lambda: self.is_ready, in_flight=lambda: self.in_flight
        )
        self._short = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="pegasus-encode")
        self._long = ThreadPoolExecutor(1, thread_name_prefix="pegasus-encode-long")
        self._on_failed = on_failed

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken, for all models."""
        return not self.is_stopping and all(each.served for each in self.models.values())

    def encoder(self, num_characters: int) -> ThreadPoolExecutor:
        """Where texts of so many characters become tokens."""
        return self._long if num_characters > _LONG_CHARACTERS else self._short

    def load(self) -> None:
        """Loads all models, one after another; an error ends it and is kept."""
        for model in self.models.values():
            if self.is_stopping:
                return
            is_new = model.served is None
            try:
                model.load()
            except Exception as err:
                self.failure = err
                if self._on_failed is None:
                    self.log.error(err)
                else:
                    self._on_failed(err)
                return
            if self.is_stopping:  # nobody else would let it go
                model.close()
                return
            if is_new:
                seconds = round(model.load_s, 3)
                self.log.event("loaded", {"model": model.name, "seconds": seconds})
        self.log.event("ready", {"models": list(self.models)})

    def cancel_rest(self) -> None:
        """Has what still runs end now: its requests are answered 503."""
        self.is_stopping = True
        for model in self.models.values():
            model.close(finish=False)

    def close(self) -> None:
        """Lets everything go."""
        self.is_stopping = True
        for pool in (self._short, self._long):
            pool.shutdown(wait=True, cancel_futures=True)
        for model in self.models.values():
            model.close()
