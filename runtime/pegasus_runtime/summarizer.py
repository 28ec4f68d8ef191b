"""The facade: a bundle in, summaries out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, overload

from pegasus_runtime.batching import plan_batches
from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.errors import (
    BundleError,
    GenerationInterrupted,
    InputError,
    OptionsError,
)
from pegasus_runtime.search.loop import Hypothesis, generate
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_options
from pegasus_runtime.search.settings import SearchLimits, SearchSettings, SpecialTokens
from pegasus_runtime.search.unsupported import unsupported_defaults
from pegasus_runtime.sessions.ort import OrtEngine
from pegasus_runtime.tokenizer import Encoding, Newlines, Tokenizer

if TYPE_CHECKING:
    from pegasus_runtime.sessions.protocol import Engine

__all__ = ["Cancel", "OnProgress", "Summarizer", "Summary"]

OnProgress = Callable[[int, int], None]
"""Called with the number of finished documents and of all documents."""


class Cancel(Protocol):
    """Something that says when to stop, such as a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether to stop before the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one document came to."""

    text: str
    token_ids: tuple[int, ...]
    """Without start token and padding; EOS kept."""
    score: float
    """See `Hypothesis.score`."""
    truncated: bool
    """Whether the end of the document was cut off, as it was over the bundle's limit."""
    alternatives: tuple[Summary, ...] = ()
    """The others, best first, where num_return_sequences asked for more than one."""


class Summarizer:
    """A loaded summarization bundle; one may be used from several threads.

    >>> with Summarizer.load("build/pegasus-mini") as summarizer:     # doctest: +SKIP
    ...     print(summarizer.summarize("A long text ...").text)
    """

    def __init__(self, bundle: Bundle, engine: Engine, tokenizer: Tokenizer) -> None:
        self.bundle = bundle
        self._engine: Engine | None = engine
        self._tokenizer = tokenizer

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        provider: str = "auto",
        threads: int | None = None,
        check_hashes: bool = False,
        newlines: Newlines = "hf",
        parse_special_tokens: bool = False,
    ) -> Summarizer:
        """Loads a bundle that pegasus-export wrote for target `ort`.

        provider: where to run; "cpu", or "auto", which is the same in this version.
        threads: of the engine; None for one per core.
        check_hashes: reads every file and compares its SHA-256 (about a second per GB).
        newlines, parse_special_tokens: see `Tokenizer.load`.

        Raises: BundleError, EngineError, OptionsError for unknown newlines.
        """
        bundle = open_bundle(folder, check_hashes=check_hashes)
        _check_bundle(bundle)
        spec = bundle.manifest.tokenizer
        assert spec is not None
        tokenizer = Tokenizer.load(
            bundle.path(spec.file),
            spec.layout,
            newlines=newlines,
            parse_special_tokens=parse_special_tokens,
        )
        return cls(bundle, OrtEngine(bundle, provider=provider, threads=threads), tokenizer)

    @overload  # a str is a Sequence[str] too; the first match is the one that counts
    def summarize(  # type: ignore[overload-overlap]
        self,
        documents: str,
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Summary: ...

    @overload
    def summarize(
        self,
        documents: Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[Summary]: ...

    def summarize(
        self,
        documents: str | Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Summary | list[Summary]:
        """One summary for a text, a list of them for a list, in its order.

        truncate: cuts a document that is over the bundle's limit, rather than raising; the
        summary says so. cancel, timeout_s: looked at before each step; timeout_s counts the whole
        call, except for its encoding into tokens.

        Raises: InputError for an empty or too long text, OptionsError, EngineError,
        GenerationInterrupted when cancelled or out of time.
        """
        if isinstance(documents, str):
            encodings = [self.encode(documents, truncate=truncate)]
        else:
            encodings = self._encode_all(documents, truncate)
        hypotheses = self.generate(
            [encoding.token_ids for encoding in encodings],
            options,
            on_progress=on_progress,
            cancel=cancel,
            timeout_s=timeout_s,
        )
        summaries = [
            self._summary(found, encoding)
            for found, encoding in zip(hypotheses, encodings, strict=True)
        ]
        return summaries[0] if isinstance(documents, str) else summaries

    def generate(
        self,
        sources: Sequence[Sequence[int]],
        options: GenerationOptions | None = None,
        *,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[list[Hypothesis]]:
        """Token ids to token ids: one list of hypotheses per document, best first.

        sources: ids with EOS, without padding, of any lengths. Documents are run in batches of
        similar length; the result does not depend on which run together.
        """
        engine = self._open_engine()
        settings = self.resolve(options)
        self._check_sources(sources)
        watch = _Watch(cancel, timeout_s)
        results: list[list[Hypothesis]] = [[] for _ in sources]
        batches = plan_batches(
            [len(source) for source in sources],
            self.bundle.manifest.architecture,
            rows=settings.rows_per_document,
            max_length=settings.max_length,
        )
        done = 0
        for batch in batches:
            watch.check()  # before the encoder runs
            found = generate(
                engine, [sources[index] for index in batch], settings, on_step=watch.check_step
            )
            for index, hypotheses in zip(batch, found, strict=True):
                results[index] = hypotheses
            done += len(batch)
            if on_progress is not None:
                on_progress(done, len(sources))
        return results

    def encode(self, text: str, *, truncate: bool = False) -> Encoding:
        """Token ids of a document, within the bundle's limit. Raises: InputError."""
        limit = self.bundle.manifest.limits.max_source_tokens
        return self._tokenizer.encode(text, max_tokens=limit, truncate=truncate)

    def _encode_all(self, texts: Sequence[str], truncate: bool) -> list[Encoding]:
        encodings = []
        for number, text in enumerate(texts):
            try:
                encodings.append(self.encode(text, truncate=truncate))
            except InputError as err:
                raise InputError(f"document {number}: {err}") from err
        return encodings

    def resolve(self, options: GenerationOptions | None = None) -> SearchSettings:
        """The options over the checkpoint's defaults, concrete and checked.

        Raises: OptionsError.
        """
        manifest = self.bundle.manifest
        return resolve_options(
            options or GenerationOptions(),
            manifest.generation,
            SpecialTokens(
                pad=manifest.token_ids.pad_token_id,
                eos=manifest.token_ids.eos_token_ids,
                decoder_start=manifest.token_ids.decoder_start_token_id,
            ),
            SearchLimits(
                max_target_tokens=manifest.limits.max_target_tokens,
                vocab_size=manifest.architecture.vocab_size,
                max_beams=manifest.limits.max_beams,
            ),
        )

    def close(self) -> None:
        """Lets go of the engine and its memory."""
        self._engine = None

    def __enter__(self) -> Summarizer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise BundleError(f"{self.bundle.folder}: the Summarizer is closed: load it again")
        return self._engine

    def _check_sources(self, sources: Sequence[Sequence[int]]) -> None:
        manifest = self.bundle.manifest
        limit, vocab_size = manifest.limits.max_source_tokens, manifest.architecture.vocab_size
        for number, source in enumerate(sources):
            if not isinstance(source, Sequence) or not all(
                isinstance(token, Integral) for token in source
            ):
                raise InputError(
                    f"source {number} is no sequence of integers: give one list of token ids per "
                    "document"
                )
            if not source:
                raise InputError(f"source {number} has no tokens: give at least EOS")
            if len(source) > limit:
                raise InputError(
                    f"source {number} has {len(source)} tokens, the bundle takes {limit}: shorten "
                    f"it, or export with --max-source-tokens {len(source)}"
                )
            outside = [token for token in source if not 0 <= token < vocab_size]
            if outside:
                raise InputError(
                    f"source {number} has token {outside[0]}, the vocabulary ends at "
                    f"{vocab_size - 1}: encode it with this bundle's tokenizer"
                )

    def _summary(self, hypotheses: Sequence[Hypothesis], encoding: Encoding) -> Summary:
        best, *others = [
            Summary(
                text=self._tokenizer.decode(hypothesis.token_ids),
                token_ids=hypothesis.token_ids,
                score=hypothesis.score,
                truncated=encoding.truncated,
            )
            for hypothesis in hypotheses
        ]
        return Summary(
            text=best.text,
            token_ids=best.token_ids,
            score=best.score,
            truncated=best.truncated,
            alternatives=tuple(others),
        )


class _Watch:
    """Ends a generation that was cancelled or is out of time."""

    def __init__(self, cancel: Cancel | None, timeout_s: float | None) -> None:
        if timeout_s is not None and not timeout_s >= 0:
            raise OptionsError(f"timeout_s is {timeout_s}, expected a number of seconds from 0 up")
        self.cancel = cancel
        self.timeout_s = timeout_s
        self.start = time.monotonic()

    def check_step(self, length: int) -> None:
        """Called with the tokens that rows hold, before each step."""
        self.check()

    def check(self) -> None:
        """Raises: GenerationInterrupted."""
        if self.cancel is not None and self.cancel.is_set():
            raise GenerationInterrupted("generation was cancelled")
        if self.timeout_s is not None and time.monotonic() - self.start > self.timeout_s:
            raise GenerationInterrupted(
                f"generation took longer than {self.timeout_s:g} s: allow more time, fewer beams "
                "or a smaller max_length"
            )


def _check_bundle(bundle: Bundle) -> None:
    manifest, folder = bundle.manifest, bundle.folder
    if manifest.target != "ort":
        raise BundleError(
            f"{folder}: a bundle for target {manifest.target!r}, this version runs 'ort': "
            "export with --target ort"
        )
    if manifest.task != "summarization" or manifest.tokenizer is None:
        raise BundleError(
            f"{folder}: a bundle for task {manifest.task!r}, a Summarizer needs 'summarization' "
            "and a tokenizer: export a PegasusForConditionalGeneration"
        )
    missing = {"encoder", "decoder_step"} - set(manifest.graphs)
    if missing:
        raise BundleError(f"{folder}: has no graph {min(missing)}: export the checkpoint again")
    names = unsupported_defaults(manifest.generation)
    if names:
        raise BundleError(
            f"{folder}: its generation defaults use {', '.join(names)}, which this version does "
            "not offer: export the checkpoint without them"
        )
