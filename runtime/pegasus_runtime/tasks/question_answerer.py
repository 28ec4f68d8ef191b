"""Questions to passages of a text, from a bundle of task question-answering."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import InputError, OptionsError
from pegasus_runtime.generation.watch import Cancel, Watch
from pegasus_runtime.sessions.ort.model import HeadOutputs, OrtModel
from pegasus_runtime.tasks.answer_spans import best_spans
from pegasus_runtime.tasks.closing import Closing
from pegasus_runtime.tasks.open_task import open_task
from pegasus_runtime.tasks.origin import remembers_origin
from pegasus_runtime.tokenization.control_characters import count_control_characters
from pegasus_runtime.tokenization.looks_like_html import looks_like_html
from pegasus_runtime.tokenization.tokenizer import Pieces, Tokenizer

__all__ = ["Answer", "QuestionAnswerer"]

_MAX_TOP_K = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A passage of the text that answers a question."""

    text: str
    """text[start:end] of what was read."""
    start: int
    """Of its first character."""
    end: int
    """After its last character."""
    score: float
    """Probability that it starts where it does, times that it ends where it does."""
    truncated: bool
    """Whether the end of the text was cut off, as it was over the bundle's limit."""
    unknown_share: float = 0.0
    """Of the characters that were read of the text, or of the question, whichever is more: those
    that the tokenizer does not know, from 0 to 1."""
    control_characters: int = 0
    """Of question and text: those that nobody sees and no model was trained to read, such as escape
    sequences, soft hyphens, and marks that turn the direction of a text."""
    looks_like_html: bool = False
    """Whether either has tags, comments or entities of HTML, which a model reads as words."""


class QuestionAnswerer(Closing[OrtModel]):
    """A loaded question-answering bundle; one may be used from several threads.

    >>> with QuestionAnswerer.load("answers") as answerer:     # doctest: +SKIP
    ...     print(answerer.answer("Who was hurt?", "A long text ...").text)
    """

    def __init__(self, bundle: Bundle, model: OrtModel, tokenizer: Tokenizer) -> None:
        super().__init__(bundle, model)
        self._tokenizer = tokenizer

    @classmethod
    @remembers_origin
    def load(
        cls,
        source: Path | str,
        *,
        precision: str | None = None,
        revision: str | None = None,
        threads: int | None = None,
        check_hashes: bool = False,
        manifest_sha256: str | None = None,
        max_unknown: float | None = None,
    ) -> QuestionAnswerer:
        """Loads a bundle that pegasus-export wrote for target `ort`.

        source, precision, revision: see `Summarizer.load`.
        threads: of the engine; see `Summarizer.load`. check_hashes: reads every file and compares
        its SHA-256. manifest_sha256, max_unknown: see `Summarizer.load`. Raises: BundleError,
        EngineError, OptionsError for impossible threads or a max_unknown that is no share.
        """
        opened = open_task(
            source,
            "question-answering",
            lambda bundle: OrtModel(bundle, ["start_logits", "end_logits"], threads=threads),
            precision=precision,
            revision=revision,
            check_hashes=check_hashes,
            manifest_sha256=manifest_sha256,
            max_unknown=max_unknown,
        )
        return cls(opened.bundle, opened.model, opened.tokenizer)

    def answer(
        self,
        question: str,
        text: str,
        *,
        top_k: int = 1,
        max_answer_tokens: int = 15,
        truncate: bool = False,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[Answer]:
        """The best passages of the text, the best first: `top_k` of them, or as many as there are.

        The model reads the question, the text and EOS in a row, as transformers' tokenizer puts
        pairs; passages and scores are reckoned as in its question-answering pipeline, but over the
        whole text at once, where that cuts a long one into windows.
        max_answer_tokens: no passage is longer. truncate: cuts the text's end where the two are
        over the bundle's limit together, rather than raising. cancel, timeout_s: see
        `Summarizer.summarize`.
        Raises: InputError, OptionsError, EngineError, GenerationInterrupted.
        """
        model = self._open_engine()
        if max_answer_tokens < 1:
            raise OptionsError(f"max_answer_tokens is {max_answer_tokens}, expected at least 1")
        if not 1 <= top_k <= _MAX_TOP_K:
            raise OptionsError(f"top_k is {top_k}, expected from 1 to {_MAX_TOP_K}")
        asked, read = self.encode_pieces("question", question), self.encode_pieces("text", text)
        kept = self._fit(len(asked.token_ids), len(read.token_ids), truncate=truncate)
        seen = Pieces(token_ids=read.token_ids[:kept], offsets=read.offsets[:kept])
        share = self._unknown_share((question, asked), (text, seen))
        source = (*asked.token_ids, *read.token_ids[:kept], self._tokenizer.eos_token_id)
        watch = Watch(
            1,
            on_progress=None,
            cancel=cancel,
            timeout_s=timeout_s,
            what="answering",
            shorter="or a shorter text",
        )
        found = watch.each(lambda interrupt: model.run([source], interrupt=interrupt))
        ((start_logits, end_logits),) = found
        first = len(asked.token_ids)
        spans = best_spans(
            start_logits[first : first + kept],
            end_logits[first : first + kept],
            count=top_k,
            max_tokens=max_answer_tokens,
        )
        truncated = kept < len(read.token_ids)
        hidden = count_control_characters(question) + count_control_characters(text)
        is_html = looks_like_html(question) or looks_like_html(text)
        return [
            replace(
                _answer(text, read.offsets[begin][0], read.offsets[last][1], score, truncated),
                unknown_share=share,
                control_characters=hidden,
                looks_like_html=is_html,
            )
            for begin, last, score in spans
        ]

    @property
    def eos_token_id(self) -> int:
        """What stands behind the text."""
        return self._tokenizer.eos_token_id

    def logits(self, sources: Sequence[Sequence[int]]) -> Iterator[HeadOutputs]:
        """(start logits, end logits) of each source, in order: [S] each, of all its tokens.

        sources: token ids of question and text in a row, with EOS. Raises: EngineError.
        """
        return self._open_engine().run(sources)

    def encode_pieces(self, what: str, text: str) -> Pieces:
        """Token ids of a question or a text, without EOS, and where each comes from.

        Raises: InputError that says what.
        """
        try:
            return self._tokenizer.encode_pieces(text)
        except InputError as err:
            raise InputError(f"{what}: {err}") from err

    def _unknown_share(self, question: tuple[str, Pieces], text: tuple[str, Pieces]) -> float:
        """The larger of both. Raises: InputError, if one is over what `load` was told."""
        shares = []
        for what, (given, pieces) in (("question", question), ("text", text)):
            shares.append(self._tokenizer.unknown_share(given, pieces))
            try:
                self._tokenizer.check_share(shares[-1])
            except InputError as err:
                raise InputError(f"{what}: {err}") from err
        return max(shares)

    def _fit(self, question: int, text: int, *, truncate: bool) -> int:
        """Tokens of the text that fit behind the question. Raises: InputError."""
        limit = self.bundle.manifest.limits.max_source_tokens
        room = limit - question - 1
        if text <= room:
            return text
        if room < 1:
            raise InputError(
                f"question has {question} tokens, the bundle takes {limit} with the text: "
                "shorten it"
            )
        if not truncate:
            raise InputError(
                f"question and text have {question + text + 1} tokens, the bundle takes {limit}: "
                "shorten the text, or pass truncate=True (--truncate)"
            )
        return room


def _answer(text: str, start: int, end: int, score: float, truncated: bool) -> Answer:
    """Without the space that a piece brings along."""
    passage = text[start:end]
    start += len(passage) - len(passage.lstrip())
    passage = passage.strip()
    return Answer(
        text=passage, start=start, end=start + len(passage), score=score, truncated=truncated
    )
