"""The facade: a bundle in, summaries out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.failure import Errors, Failure, check_errors
from pegasus_runtime.generation.loop import Hypothesis
from pegasus_runtime.generation.stream import WINDOW_DOCUMENTS, check_count, collect_results
from pegasus_runtime.generation.watch import Cancel, OnProgress, Watch
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.tasks.check_generating import check_generating
from pegasus_runtime.tasks.closing import Closing
from pegasus_runtime.tasks.encode_documents import check_several, encode_all, encode_each
from pegasus_runtime.tasks.long_documents.chunked import Chunker
from pegasus_runtime.tasks.long_documents.drive import Begun, begin_chunked, each_summary
from pegasus_runtime.tasks.long_documents.long import Long, check_streamed, resolve_long
from pegasus_runtime.tasks.open_task import open_task
from pegasus_runtime.tasks.origin import remembers_origin
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.run import OnStep, Run, plan_any_lengths, run_sources
from pegasus_runtime.tasks.source import check_encoding, check_sources
from pegasus_runtime.tasks.summary import Summary, summary_of
from pegasus_runtime.tasks.warm_up import run_all_sizes
from pegasus_runtime.tokenization.tokenizer import Encoding, Newlines, Tokenizer

if TYPE_CHECKING:
    from pegasus_runtime.decoding.protocol import Engine

__all__ = ["Summarizer"]


class Summarizer(Closing["Engine"]):
    """A loaded summarization bundle; one may be used from several threads.

    >>> with Summarizer.load("build/pegasus-mini") as summarizer:     # doctest: +SKIP
    ...     print(summarizer.summarize("A long text ...").text)
    """

    def __init__(self, bundle: Bundle, engine: Engine, tokenizer: Tokenizer) -> None:
        super().__init__(bundle, engine)
        self._tokenizer = tokenizer

    @classmethod
    @remembers_origin
    def load(
        cls,
        source: Path | str,
        *,
        precision: str | None = None,
        revision: str | None = None,
        provider: str = "auto",
        threads: int | None = None,
        kernel_cache: Path | str | None = None,
        check_hashes: bool = False,
        manifest_sha256: str | None = None,
        newlines: Newlines = "hf",
        parse_special_tokens: bool = False,
        max_unknown: float | None = None,
    ) -> Summarizer:
        """Loads a bundle that pegasus-export wrote for target `ort`, `trt` or `trt-rtx`.

        source: its folder; or "owner/name" on the Hugging Face hub, of a bundle or of a checkpoint,
        which is downloaded, or exported, when it is first asked for, and lies in a cache from then
        on (docs/by-name.md). A Path is always a folder.
        precision: of that export ("int8"; None: "fp32"); a bundle that has another is refused.
        revision: branch, tag or commit of the hub.
        provider: where to run. "auto" is TensorRT for targets trt and trt-rtx, and the CPU for ort,
        but for fp16 where ONNX Runtime has CUDA. "cpu", "cuda" and "tensorrt" insist.
        threads: of the engine on the CPU; None for one per core that this process may use
        (docs/speed.md, Threads).
        kernel_cache: a file that keeps what TensorRT for RTX compiles when a size first runs.
        check_hashes: reads every file and compares its SHA-256 (about a second per GB).
        manifest_sha256: of the one bundle that is wanted, known from elsewhere; checks hashes, too.
        newlines, parse_special_tokens: see `Tokenizer.load`.
        max_unknown: refuses a document of which the tokenizer does not know a larger share of the
        characters, from 0 to 1: see `Summary.unknown_share`. None takes any.

        Raises: BundleError, EngineError, OptionsError for what the bundle cannot be loaded with.
        """
        from pegasus_runtime.sessions.open_engine import open_engine  # when it is needed

        def load(bundle: Bundle) -> Engine:
            check_generating(bundle, {"encoder", "decoder_step"})
            return open_engine(
                bundle,
                provider=provider,
                threads=threads,
                kernel_cache=None if kernel_cache is None else Path(kernel_cache),
            )

        opened = open_task(
            source,
            "summarization",
            load,
            precision=precision,
            revision=revision,
            check_hashes=check_hashes,
            manifest_sha256=manifest_sha256,
            newlines=newlines,
            parse_special_tokens=parse_special_tokens,
            max_unknown=max_unknown,
        )
        return cls(opened.bundle, opened.model, opened.tokenizer)

    @overload  # a str is a Sequence[str] too; the first match is the one that counts
    def summarize(  # type: ignore[overload-overlap]
        self,
        documents: str,
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
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
        long: Long | None = None,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[Summary]: ...

    @overload
    def summarize(
        self,
        documents: str | Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        errors: Errors,
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Summary | Failure | list[Summary | Failure]: ...

    def summarize(
        self,
        documents: str | Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        errors: Errors = "raise",
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Summary | Failure | Sequence[Summary | Failure]:
        """One summary for a text, a list of them for a list, in its order.

        long: what is done about a document over the bundle's limit: "error", the default;
        "truncate" cuts its end off, and the summary says so; "chunk" summarises it in windows and
        joins what they say (docs/long-documents.md); max_length and its like are each window's.
        truncate: short for long="truncate". errors: "return" puts a `Failure` in the place of a
        document that cannot be summarised, and goes on; if a batch fails, each of its documents is
        tried alone. on_progress: told how many documents are finished, after each batch. on_step:
        told before each step how many tokens the summaries of the batch hold, start token included,
        and max_length, the most that they may; many end earlier. cancel, timeout_s: end the call at
        once; timeout_s counts all of it, but for the encoding into tokens.

        Raises: InputError for an empty or too long text and EngineError, unless errors are
        returned; OptionsError; GenerationInterrupted when cancelled or out of time, which has the
        summaries that were finished as `results`, one per document, None for the others.
        """
        check_errors(errors)
        long = resolve_long(long, truncate=truncate)
        items = encode_all(self._reader(options, long), documents, errors)
        watch = Watch(len(items), on_progress=on_progress, cancel=cancel, timeout_s=timeout_s)
        with_options = partial(self._run, watch=watch, on_step=on_step)
        results = each_summary(items, with_options, options, long, errors)
        summaries = collect_results(results, len(items))
        return summaries[0] if isinstance(documents, str) else summaries

    def summarize_each(
        self,
        documents: Iterable[str | Encoding],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        errors: Errors = "raise",
        batch_size: int | None = None,
        window: int = WINDOW_DOCUMENTS,
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Summary | Failure]:
        """The summaries of any number of documents, in order, each as soon as it is there.

        documents: texts, or what `encode` makes of them; any iterable, of a million documents if
        need be, of which `window` are read ahead, so that those of similar length run together.
        Closing the iterator, or not asking it for more, stops the work.
        batch_size: runs no more documents together (default: as many as memory allows). window:
        fewer give the first summary sooner where documents come slowly.
        on_progress: told the number of all documents only where they have a `len`, otherwise how
        many were read. cancel, timeout_s: looked at after each document is read, too; timeout_s
        counts from the call on, whoever takes the time. Other arguments are those of `summarize`.

        Raises: at once OptionsError, and InputError of documents that are none at all. Later,
        InputError and EngineError, unless errors are returned: that of a document when its turn
        comes; and what the iterable raises, after the summaries of all that it gave.
        GenerationInterrupted, which has as `results` what was finished and not given out yet, None
        for what was not finished.
        """
        check_errors(errors)
        if isinstance(documents, str):
            raise OptionsError("documents is one text, expected several: call summarize, or [text]")
        check_several("documents", documents, expected="several texts")
        check_count("batch_size", 1 if batch_size is None else batch_size)
        check_count("window", window)
        total = len(documents) if isinstance(documents, Sized) else None
        watch = Watch(total, on_progress=on_progress, cancel=cancel, timeout_s=timeout_s)
        long = resolve_long(long, truncate=truncate)
        items = encode_each(self._reader(options, long), watch.see(documents), errors)
        with_options = partial(self._run, watch=watch, on_step=on_step, batch_size=batch_size)
        return each_summary(
            items, with_options, options, long, errors, on_read=watch.check, window=window
        )

    def stream(
        self,
        document: str | Encoding,
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Partial | Summary]:
        """The summary of a document as it comes: what is certain so far, and at last all of it.

        Each `Partial` begins with the one before, and the `Summary`, which is that of `summarize`,
        with all of them. With one beam, every token is told as soon as it is there. With several,
        it is what all of them agree on that may still come out best; with several samples, too.
        Closing the iterator, or not asking it for more, stops the work. document: a text, or what
        `encode` makes of it. Other arguments, and errors, are those of `summarize`, but for
        long="chunk", which takes back what it said; options and document are checked at once.

        >>> for part in summarizer.stream("A long text ..."):     # doctest: +SKIP
        ...     print(part.text)
        """
        check_streamed(long)
        long = resolve_long(long, truncate=truncate)
        encoding = self._encoded(document, truncate=long == "truncate")
        watch = Watch(1, on_progress=None, cancel=cancel, timeout_s=timeout_s)
        run = self._run(options, watch=watch, on_step=on_step)
        return run.stream(encoding, lambda _, ids: self._tokenizer.decode_settled(ids))

    def _reader(
        self, options: GenerationOptions | None, long: Long
    ) -> Callable[[str | Encoding], Encoding | Begun]:
        if long != "chunk":
            return partial(self._encoded, truncate=long == "truncate")
        return partial(begin_chunked, self.chunker(options))

    def _encoded(self, document: str | Encoding, *, truncate: bool) -> Encoding:
        if not isinstance(document, Encoding):
            return self.encode(document, truncate=truncate)
        check_encoding(document, self.bundle.manifest)
        return document

    def _run(
        self,
        options: GenerationOptions | None,
        *,
        watch: Watch,
        on_step: OnStep | None = None,
        batch_size: int | None = None,
    ) -> Run[Encoding, Summary]:
        engine, settings = self._open_engine(), self.resolve(options)
        return Run(
            engine=engine,
            watch=watch,
            settings=lambda length: settings,
            plan=plan_any_lengths(self.bundle.manifest, settings, batch_size),
            ids=lambda encoding: encoding.token_ids,
            result=partial(summary_of, self._tokenizer.decode),
            on_step=on_step,
        )

    @overload
    def generate(
        self,
        sources: Sequence[Sequence[int]],
        options: GenerationOptions | None = None,
        *,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[list[Hypothesis]]: ...

    @overload
    def generate(
        self,
        sources: Sequence[Sequence[int]],
        options: GenerationOptions | None = None,
        *,
        errors: Errors,
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
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
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Sequence[list[Hypothesis] | Failure]:
        """Token ids to token ids: one list of hypotheses per document, best first.

        sources: ids with EOS, without padding, of any lengths. Documents are run in batches of
        similar length; in fp32, the result does not depend on which run together. The other
        arguments, and what is raised, are those of `summarize`.
        """
        check_errors(errors)
        check_several("sources", sources, expected="one list of token ids per document")
        checked = check_sources(sources, self.bundle.manifest, errors)
        watch = Watch(len(checked), on_progress=on_progress, cancel=cancel, timeout_s=timeout_s)
        engine, settings = self._open_engine(), self.resolve(options)
        return run_sources(checked, engine, settings, self.bundle.manifest, watch, errors, on_step)

    def encode(self, text: str, *, truncate: bool = False) -> Encoding:
        """Token ids of a document, within the bundle's limit. Raises: InputError."""
        limit = self.bundle.manifest.limits.max_source_tokens
        model = self.bundle.manifest.architecture
        return self._tokenizer.encode(
            text, max_tokens=limit, truncate=truncate, model=model, can_chunk=True
        )

    def encode_prefix(self, text: str) -> tuple[int, ...]:
        """A text that summaries are to begin with, as `GenerationOptions.decoder_input_ids`.

        Raises: InputError.
        """
        return self._tokenizer.encode(text).token_ids[:-1]  # without EOS

    def decode(self, token_ids: Iterable[int], *, clean_up_spaces: bool | None = None) -> str:
        """Text of a summary's token ids, special ones left out.

        clean_up_spaces: whether those before punctuation are dropped; None: as the checkpoint
        says. Raises: InputError for what is no token id.
        """
        return self._tokenizer.decode(token_ids, clean_up_spaces=clean_up_spaces)

    def resolve(self, options: GenerationOptions | None = None) -> SearchSettings:
        """The options over the checkpoint's defaults, concrete and checked.

        Raises: OptionsError.
        """
        return resolve_for_manifest(options or GenerationOptions(), self.bundle.manifest)

    def chunker(self, options: GenerationOptions | None = None) -> Chunker:
        """What cuts documents into windows and joins their summaries. Raises: OptionsError."""
        return Chunker(
            tokenizer=self._tokenizer,
            manifest=self.bundle.manifest,
            options=options or GenerationOptions(),
            settings=self.resolve(options),
        )

    def warm_up(self) -> None:
        """Runs everything once that is slow the first time.

        TensorRT for RTX compiles its kernels when a size first runs; see `kernel_cache` of `load`.
        Raises: EngineError.
        """
        run_all_sizes(self._open_engine(), self.bundle.manifest)
