"""Stand-ins of a model: they answer texts at once, with the text in capitals."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.records.fields import Fields
from pegasus_runtime.records.job import OnDone
from pegasus_runtime.records.problem import Problem
from pegasus_runtime.records.window import Answer, Made, Remark

__all__ = ["FIELDS", "Capitals"]

FIELDS = Fields()
_REMARKS: dict[str, Remark] = {
    "long": "truncated",
    "?": "unknown",
    "<": "html",
    "hidden": "controls",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capitals:
    """Opener and what it opens. A text that begins with one of these words does what they say:
    fail, die, sleep; there is a remark on
    one that begins with long, ?, < or hidden."""

    identity: str = "capitals"
    refuses: bool = False
    differs: bool = False
    """Whether it is another one in every process."""
    sleep_s: float = 60.0

    def open(self) -> Capitals:
        if self.refuses:
            raise OptionsError("num_beams is 0, expected more")
        return Capitals(identity=str(os.getpid())) if self.differs else self

    def answer(self, texts: Sequence[str], on_done: OnDone) -> list[Answer]:
        return [self._answer(text, on_done) for text in texts]

    def _answer(self, text: str, on_done: OnDone) -> Answer:
        on_done(1)
        if text.startswith("fail"):
            return Problem(code="input", message="the text is empty")
        if text.startswith("die"):
            os.kill(os.getpid(), 9)
        if text.startswith("sleep"):
            time.sleep(self.sleep_s)
        return Made(
            values=(text.upper(),),
            remarks=frozenset(_REMARKS[word] for word in _REMARKS if text.startswith(word)),
        )

    def __enter__(self) -> Capitals:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass
