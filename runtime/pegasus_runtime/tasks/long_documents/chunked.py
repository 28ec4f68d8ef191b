"""A document in windows: what is to be summarised next, until there is one summary.

Nothing runs here: a generator says what it wants summarised and is sent the summaries, whoever
made them, so that many documents share batches.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TypeAlias

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.tasks.long_documents.join import drop_repeats, join_texts
from pegasus_runtime.tasks.long_documents.long import check_chunk
from pegasus_runtime.tasks.long_documents.sentences import Span
from pegasus_runtime.tasks.long_documents.windows import plan_windows
from pegasus_runtime.tasks.source import check_encoding
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tasks.window import Window
from pegasus_runtime.tokenization.sentencepiece_vocabulary import NEWLINE_PIECE
from pegasus_runtime.tokenization.tokenizer import Encoding, Tokenizer

__all__ = ["OVERLAP_SHARE", "Chunked", "Chunker", "Requests"]

Requests: TypeAlias = list[tuple[Encoding, GenerationOptions]]
Chunked: TypeAlias = Generator[Requests, Sequence[Summary], Summary]
"""Yields what is to be summarised, is sent as many summaries in that order, and returns the one."""

OVERLAP_SHARE = 1 / 16
"""Of the limit, what whole sentences may have that a window shares with the one before: of 512
tokens one or two sentences. Measured with benchmarks/long_chunks.py."""
_MOST_ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunker:
    """How the documents of one call are cut and joined.

    settings: those that the options come to.
    """

    tokenizer: Tokenizer
    manifest: Manifest
    options: GenerationOptions
    settings: SearchSettings
    overlap_share: float = OVERLAP_SHARE
    max_tokens: int | None = None
    """Of a window, EOS included; None: the bundle's limit, which a document is over."""

    def __post_init__(self) -> None:
        """Raises: OptionsError."""
        check_chunk(self.settings)

    def begin(self, document: str | Encoding) -> Chunked:
        """The summary of a document: if it fits, its own; else one made of windows.

        What is encoded already is summarised as it is, within the limit.

        Windows are summarised, and what they say is joined; if that is over the limit again, it is
        summarised in windows as well, as long as that makes it shorter, eight times at most.
        Raises, when it is first asked for something: InputError.
        """
        if isinstance(document, Encoding):
            check_encoding(document, self.manifest)
            [summary] = yield [(document, self.options)]
            return summary
        whole = self.tokenizer.encode(document)
        if len(whole.token_ids) <= self.limit:
            [summary] = yield [(whole, self.options)]
            return summary
        joined = _Joined(text=document, num_tokens=len(whole.token_ids), pieces=[(0, 0, 0)])
        windows: list[Window] = []
        seconds = 0.0
        for number in range(1, _MOST_ROUNDS + 1):
            spans = self._plan(joined.text)
            summaries = yield from self._summarize([joined.text[s:e] for s, e in spans])
            seconds += sum(each.seconds for each in summaries)
            found = _windows(spans, summaries, joined, number)
            shorter = self._join(found)
            if number > 1 and shorter.num_tokens >= joined.num_tokens:
                break
            windows += found
            joined = shorter
            if joined.num_tokens <= self.limit:
                break
        last = [window for window in windows if window.round == windows[-1].round]
        return replace(
            summaries[0],
            text=joined.text,
            token_ids=self._ids(joined.text),
            score=fmean(window.score for window in last),
            truncated=False,
            unknown_share=whole.unknown_share,
            control_characters=whole.control_characters,
            looks_like_html=whole.looks_like_html,
            seconds=seconds,
            windows=tuple(windows),
        )

    @property
    def limit(self) -> int:
        """Tokens of a document, above which it is summarised in windows."""
        return self.manifest.limits.max_source_tokens

    @property
    def _parts(self) -> Tokenizer:
        """Of parts and summaries: max_unknown is a document's, whatever share one part has."""
        return replace(self.tokenizer, max_unknown=None)

    def _plan(self, text: str) -> list[Span]:
        limit, parts = self.max_tokens or self.limit, self._parts
        return plan_windows(
            text,
            self._token_ends(text),
            limit=limit,
            overlap=int(limit * self.overlap_share),
            count=lambda part: len(parts.encode(part).token_ids),
        )

    def _token_ends(self, text: str) -> list[int]:
        """Of each token, where in the text it ends; newlines are tokens where they are read so."""
        if self.tokenizer.newlines == "hf":
            return [end for _, end in self.tokenizer.encode_pieces(text).offsets]
        places: list[int] = []
        for at, char in enumerate(text):
            places += [at] * (len(NEWLINE_PIECE) if char == "\n" else 1)
        places.append(len(text))
        read = text.replace("\n", NEWLINE_PIECE)
        return [places[end] for _, end in self.tokenizer.encode_pieces(read).offsets]

    def _summarize(
        self, texts: Sequence[str]
    ) -> Generator[Requests, Sequence[Summary], list[Summary]]:
        """All windows together; one by one, where none may repeat an n-gram of those before."""
        encodings = [self._parts.encode(text) for text in texts]
        size = self.settings.no_repeat_ngram_size
        if size == 0:
            return list((yield [(encoding, self.options) for encoding in encodings]))
        summaries: list[Summary] = []
        banned = dict.fromkeys(self.settings.bad_words_ids)
        options = self.options
        for encoding in encodings:
            [summary] = yield [(encoding, options)]
            summaries.append(summary)
            banned.update(dict.fromkeys(self._ngrams(summary.token_ids, size)))
            options = replace(self.options, bad_words_ids=tuple(banned))
        return summaries

    def _ngrams(self, token_ids: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
        eos = self.settings.tokens.eos
        ids = token_ids[:-1] if token_ids and token_ids[-1] in eos else token_ids
        return (tuple(ids[at : at + size]) for at in range(len(ids) - size + 1))

    def _join(self, windows: Sequence[Window]) -> _Joined:
        kept = [window.kept for window in windows]
        text, pieces = join_texts(kept), []
        at = 0
        for window in windows:
            if window.kept:
                at = text.index(window.kept, at)
                pieces.append((at, window.start, window.end))
                at += len(window.kept)
        return _Joined(text=text, num_tokens=len(self._ids(text)), pieces=pieces)

    def _ids(self, text: str) -> tuple[int, ...]:
        """EOS included; that alone of nothing."""
        if not text or text.isspace():
            return (self.tokenizer.eos_token_id,)
        return self._parts.encode(text).token_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joined:
    """What a round reads: the document, or summaries."""

    text: str
    num_tokens: int
    pieces: list[tuple[int, int, int]]
    """Of each summary: where it begins, and the characters of the document that it goes back to."""

    def span(self, start: int, end: int, number: int) -> Span:
        """The characters of the document that a part of the text goes back to."""
        if number == 1:
            return start, end
        begins = [at for at, _, _ in self.pieces[1:]]
        read = [
            piece
            for piece, following in zip(self.pieces, [*begins, len(self.text)], strict=True)
            if piece[0] < end and start < following
        ]
        return min(first for _, first, _ in read), max(last for _, _, last in read)


def _windows(
    spans: Sequence[Span], summaries: Sequence[Summary], read: _Joined, number: int
) -> list[Window]:
    kept = drop_repeats([summary.text for summary in summaries])
    windows = []
    for (start, end), summary, left in zip(spans, summaries, kept, strict=True):
        first, last = read.span(start, end, number)
        windows.append(
            Window(
                start=first,
                end=last,
                text=summary.text,
                kept=left,
                score=summary.score,
                round=number,
            )
        )
    return windows
