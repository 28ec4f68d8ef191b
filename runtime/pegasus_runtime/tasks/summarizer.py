"""The facade: a bundle in, summaries out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import BundleError, InputError
from pegasus_runtime.generation.batching import plan_batches
from pegasus_runtime.generation.failure import (
    Errors,
    Failure,
    check_errors,
    record_failure,
    run_batches,
)
from pegasus_runtime.generation.loop import Hypothesis, generate
from pegasus_runtime.generation.watch import Cancel, OnProgress, Watch
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.unsupported import unsupported_defaults
from pegasus_runtime.tasks.closing import Closing
from pegasus_runtime.tasks.open_task import open_task
from pegasus_runtime.tasks.source import check_source
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenizer import Encoding, Newlines, Tokenizer

if TYPE_CHECKING:
    from pegasus_runtime.decoding.protocol import Engine

__all__ = ["Summarizer"]


class Summarizer(Closing):
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
        kernel_cache: Path | str | None = None,
        check_hashes: bool = False,
        newlines: Newlines = "hf",
        parse_special_tokens: bool = False,
    ) -> Summarizer:
        """Loads a bundle that pegasus-export wrote for target `ort`, `trt` or `trt-rtx`.

        provider: where to run. "auto" is TensorRT for targets trt and trt-rtx, and the CPU for ort,
        but for fp16 where ONNX Runtime has CUDA. "cpu", "cuda" and "tensorrt" insist.
        threads: of the engine on the CPU; None for one per core.
        kernel_cache: a file in which TensorRT for RTX keeps the kernels that it compiles when a
        size first runs, for the next process; made if it is not there.
        check_hashes: reads every file and compares its SHA-256 (about a second per GB).
        newlines, parse_special_tokens: see `Tokenizer.load`.

        Raises: BundleError, EngineError, OptionsError for unknown newlines.
        """
        from pegasus_runtime.sessions.open_engine import open_engine  # when it is needed

        opened = open_task(
            folder,
            "summarization",
            check_hashes=check_hashes,
            newlines=newlines,
            parse_special_tokens=parse_special_tokens,
        )
        bundle = opened.bundle
        _check_bundle(bundle)
        engine = open_engine(
            bundle,
            provider=provider,
            threads=threads,
            kernel_cache=None if kernel_cache is None else Path(kernel_cache),
        )
        return cls(bundle, engine, opened.tokenizer)

    @overload  # a str is a Sequence[str] too; the first match is the one that counts
    def summarize(  # type: ignore[overload-overlap]
        self,
        documents: str,
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Summary: ...

    @overload
    def summarize(  # type: ignore[overload-overlap]
        self,
        documents: str,
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        errors: Literal["return"],
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Summary | Failure: ...

    @overload
    def summarize(
        self,
        documents: Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[Summary]: ...

    @overload
    def summarize(
        self,
        documents: Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        errors: Literal["return"],
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[Summary | Failure]: ...

    def summarize(
        self,
        documents: str | Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        errors: Errors = "raise",
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Summary | Failure | Sequence[Summary | Failure]:
        """One summary for a text, a list of them for a list, in its order.

        truncate: cuts a document that is over the bundle's limit, rather than raising; the
        summary says so. errors: "return" puts a `Failure` in the place of a document that cannot
        be summarised, and goes on; if a batch fails, each of its documents is tried alone.
        on_progress: told how many documents are finished, after each batch. cancel, timeout_s:
        looked at before each step; timeout_s counts the whole call, except for its encoding into
        tokens.

        Raises: InputError for an empty or too long text and EngineError, unless errors are
        returned; OptionsError; GenerationInterrupted when cancelled or out of time.
        """
        check_errors(errors)
        encodings = self._encode_all(documents, truncate, errors)
        found = self._generate(
            [each if isinstance(each, Failure) else each.token_ids for each in encodings],
            options,
            errors,
            Watch(len(encodings), on_progress=on_progress, cancel=cancel, timeout_s=timeout_s),
        )
        summaries = [self._summary(*each) for each in zip(found, encodings, strict=True)]
        return summaries[0] if isinstance(documents, str) else summaries

    @overload
    def generate(
        self,
        sources: Sequence[Sequence[int]],
        options: GenerationOptions | None = None,
        *,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[list[Hypothesis]]: ...

    @overload
    def generate(
        self,
        sources: Sequence[Sequence[int]],
        options: GenerationOptions | None = None,
        *,
        errors: Literal["return"],
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[list[Hypothesis] | Failure]: ...

    def generate(
        self,
        sources: Sequence[Sequence[int]],
        options: GenerationOptions | None = None,
        *,
        errors: Errors = "raise",
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Sequence[list[Hypothesis] | Failure]:
        """Token ids to token ids: one list of hypotheses per document, best first.

        sources: ids with EOS, without padding, of any lengths. Documents are run in batches of
        similar length; in fp32, the result does not depend on which run together. The other
        arguments, and what is raised, are those of `summarize`.
        """
        check_errors(errors)
        return self._generate(
            [self._check_source(number, ids, errors) for number, ids in enumerate(sources)],
            options,
            errors,
            Watch(len(sources), on_progress=on_progress, cancel=cancel, timeout_s=timeout_s),
        )

    def _generate(
        self,
        sources: Sequence[Sequence[int] | Failure],
        options: GenerationOptions | None,
        errors: Errors,
        watch: Watch,
    ) -> list[list[Hypothesis] | Failure]:
        """Generates from the sources that have not failed before."""
        engine = self._open_engine()
        settings = self.resolve(options)
        failed = {n: source for n, source in enumerate(sources) if isinstance(source, Failure)}
        ready = {n: source for n, source in enumerate(sources) if not isinstance(source, Failure)}
        batches = plan_batches(
            {number: len(source) for number, source in ready.items()},
            self.bundle.manifest.architecture,
            rows=settings.rows_per_document,
            max_length=settings.max_length,
            max_documents=self.bundle.manifest.limits.max_batch,
        )

        def run(batch: Sequence[int]) -> list[list[Hypothesis]]:
            watch.check()  # before the encoder runs
            chosen = [ready[number] for number in batch]
            return generate(engine, chosen, settings, on_step=watch.check_step)

        watch.count(len(failed))
        found = run_batches(batches, run, errors=errors, on_done=watch.count)
        results = {**failed, **found}
        return [results[number] for number in range(len(sources))]

    def encode(self, text: str, *, truncate: bool = False) -> Encoding:
        """Token ids of a document, within the bundle's limit. Raises: InputError."""
        limit = self.bundle.manifest.limits.max_source_tokens
        return self._tokenizer.encode(text, max_tokens=limit, truncate=truncate)

    def _encode_all(
        self, documents: str | Sequence[str], truncate: bool, errors: Errors
    ) -> list[Encoding | Failure]:
        encodings: list[Encoding | Failure] = []
        for number, text in enumerate([documents] if isinstance(documents, str) else documents):
            try:
                encodings.append(self.encode(text, truncate=truncate))
            except InputError as err:
                if errors == "return":
                    encodings.append(record_failure(number, err))
                elif isinstance(documents, str):
                    raise
                else:
                    raise InputError(f"document {number}: {err}") from err
        return encodings

    def resolve(self, options: GenerationOptions | None = None) -> SearchSettings:
        """The options over the checkpoint's defaults, concrete and checked.

        Raises: OptionsError.
        """
        return resolve_for_manifest(options or GenerationOptions(), self.bundle.manifest)

    def warm_up(self) -> None:
        """Runs everything once that is slow the first time.

        TensorRT for RTX compiles its kernels when a size first runs; see `kernel_cache` of `load`.
        Raises: EngineError.
        """
        manifest = self.bundle.manifest
        lengths, batches = {2}, {1}
        if manifest.plans is not None:
            for profile in manifest.plans.profiles["decoder_step"]:
                lengths.add(min(profile["source"][1], manifest.limits.max_source_tokens))
                batches.add(profile["batch"][1])
        settings = self.resolve(GenerationOptions(max_new_tokens=3, min_new_tokens=0, min_length=0))
        eos = manifest.token_ids.eos_token_ids[0]
        for length in sorted(lengths):
            for batch in sorted(batches):
                generate(self._open_engine(), [[eos] * length] * batch, settings)

    def close(self) -> None:
        """Lets go of the engine and its memory."""
        self._engine = None

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise BundleError(f"{self.bundle.folder}: the Summarizer is closed: load it again")
        return self._engine

    def _check_source(
        self, number: int, source: Sequence[int], errors: Errors
    ) -> Sequence[int] | Failure:
        try:
            check_source(number, source, self.bundle.manifest)
        except InputError as err:
            if errors == "raise":
                raise
            return record_failure(number, err)
        return source

    def _summary(
        self, hypotheses: Sequence[Hypothesis] | Failure, encoding: Encoding | Failure
    ) -> Summary | Failure:
        if isinstance(encoding, Failure):
            return encoding
        if isinstance(hypotheses, Failure):
            return hypotheses
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


def _check_bundle(bundle: Bundle) -> None:
    manifest, folder = bundle.manifest, bundle.folder
    missing = {"encoder", "decoder_step"} - set(manifest.graphs)
    if missing:
        raise BundleError(f"{folder}: has no graph {min(missing)}: export the checkpoint again")
    names = unsupported_defaults(manifest.generation)
    if names:
        raise BundleError(
            f"{folder}: its generation defaults use {', '.join(names)}, which this version does "
            "not offer: export the checkpoint without them"
        )
