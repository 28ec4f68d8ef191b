"""From a window's texts to what is added to its records, by a bundle that is loaded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol

from pegasus_runtime.errors import EngineError, InputError
from pegasus_runtime.generation.failure import Failure
from pegasus_runtime.records.fields import Fields
from pegasus_runtime.records.problem import Problem
from pegasus_runtime.records.window import Answer, Made, Remark
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.long_documents.long import Long
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Newlines

__all__ = ["Answering", "Job", "OnDone", "Opener"]

_MUCH_UNKNOWN = 0.2

OnDone = Callable[[int], None]
"""Told how many more of a window's texts are finished."""


class Answering(Protocol):
    """What answers texts; the seam between records and models."""

    @property
    def identity(self) -> str:
        """Of the model: another one would give other answers."""

    def answer(self, texts: Sequence[str], on_done: OnDone) -> list[Answer]:
        """One for each text, which depend on nothing but these texts."""


class Opener(Protocol):
    """Opens it, in this process or, pickled, in another one."""

    def open(self) -> AbstractContextManager[Answering]:
        """Raises: PegasusError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A bundle, how it is loaded, and what is asked of it."""

    source: Path
    """The folder of a bundle."""
    precision: str | None = None
    provider: str = "auto"
    threads: int | None = None
    kernel_cache: Path | None = None
    check_hashes: bool = False
    manifest_sha256: str | None = None
    newlines: Newlines = "hf"
    parse_special_tokens: bool = False
    max_unknown: float | None = None
    options: GenerationOptions
    decoder_prefix: str | None = None
    long: Long = "error"
    batch_size: int | None = None
    fields: Fields

    def open(self) -> _Answering:
        """Loads the bundle, and checks the options. Raises: what `Summarizer.load` raises."""
        summarizer = Summarizer.load(
            self.source,
            precision=self.precision,
            provider=self.provider,
            threads=self.threads,
            kernel_cache=self.kernel_cache,
            check_hashes=self.check_hashes,
            manifest_sha256=self.manifest_sha256,
            newlines=self.newlines,
            parse_special_tokens=self.parse_special_tokens,
            max_unknown=self.max_unknown,
        )
        try:
            return _Answering(summarizer, self)
        except BaseException:
            summarizer.close()
            raise


def _remarks(summary: Summary) -> frozenset[Remark]:
    found: dict[Remark, bool] = {
        "truncated": summary.truncated,
        "unknown": summary.unknown_share > _MUCH_UNKNOWN,
        "html": summary.looks_like_html,
        "controls": summary.control_characters > 0,
    }
    return frozenset(name for name, is_so in found.items() if is_so)


class _Answering:
    """A Summarizer, asked window by window."""

    def __init__(self, summarizer: Summarizer, job: Job) -> None:
        self.summarizer = summarizer
        self.job = job
        self.options = job.options
        if job.decoder_prefix is not None:
            try:
                prefix = summarizer.encode_prefix(job.decoder_prefix)
            except InputError as err:
                raise InputError(f"--decoder-prefix: {err}") from err
            self.options = replace(job.options, decoder_input_ids=prefix)
        summarizer.resolve(self.options)

    @property
    def identity(self) -> str:
        return str(self.summarizer.bundle.manifest_sha256)

    def answer(self, texts: Sequence[str], on_done: OnDone) -> list[Answer]:
        told = 0

        def tell(done: int, total: int) -> None:
            nonlocal told
            on_done(done - told)
            told = done

        results = self.summarizer.summarize_each(
            texts,
            self.options,
            long=self.job.long,
            errors="return",
            batch_size=self.job.batch_size,
            window=max(1, len(texts)),  # all batches are planned of these, and of nothing else
            on_progress=tell,
        )
        return [self._answer(each) for each in results]

    def _answer(self, result: Summary | Failure) -> Answer:
        if isinstance(result, Failure):
            code = "engine" if isinstance(result.error, EngineError) else "input"
            return Problem(code=code, message=str(result.error))
        return Made(values=self.job.fields.values(result), remarks=_remarks(result))

    def __enter__(self) -> _Answering:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.summarizer.close()
