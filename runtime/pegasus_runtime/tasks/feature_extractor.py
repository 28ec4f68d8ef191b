"""Texts to last hidden states, from a bundle of task feature-extraction.

Dimensions: S tokens of the text, T tokens that the decoder reads, D model dim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import GenerationInterrupted, InputError
from pegasus_runtime.generation.watch import Cancel, Watch
from pegasus_runtime.sessions.ort.features import HiddenStates, OrtFeatures
from pegasus_runtime.tasks.closing import Closing
from pegasus_runtime.tasks.encode_documents import check_several
from pegasus_runtime.tasks.open_task import open_task
from pegasus_runtime.tasks.origin import remembers_origin
from pegasus_runtime.tasks.source import check_target
from pegasus_runtime.tokenization.tokenizer import Encoding, Tokenizer

__all__ = ["FeatureExtractor", "Features"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """What encoder and decoder make of one text."""

    last_hidden_state: npt.NDArray[np.float32]
    """[T, D] of the decoder: what transformers' feature-extraction pipeline returns."""
    encoder_last_hidden_state: npt.NDArray[np.float32]
    """[S, D] of the encoder, one row per token of the text, EOS included."""
    token_ids: tuple[int, ...]
    """S of the text."""
    decoder_input_ids: tuple[int, ...]
    """T that the decoder read."""
    truncated: bool
    """Whether the end of the text was cut off, as it was over the bundle's limit."""
    unknown_share: float = 0.0
    """Of the text's characters that were read, those that the tokenizer does not know, 0 to 1."""
    control_characters: int = 0
    """Of the whole text: those that nobody sees and no model was trained to read, such as
    escape sequences, soft hyphens, and marks that turn the direction of a text."""
    looks_like_html: bool = False
    """Whether the text has tags, comments or entities of HTML, which a model reads as words."""


class FeatureExtractor(Closing[OrtFeatures]):
    """A loaded feature-extraction bundle; one may be used from several threads.

    >>> with FeatureExtractor.load("features") as extractor:     # doctest: +SKIP
    ...     print(extractor.extract("A long text ...").encoder_last_hidden_state.mean(axis=0))
    """

    def __init__(self, bundle: Bundle, model: OrtFeatures, tokenizer: Tokenizer) -> None:
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
    ) -> FeatureExtractor:
        """Loads a bundle that pegasus-export wrote for target `ort`.

        source, precision, revision: see `Summarizer.load`.
        threads: of the engine; see `Summarizer.load`. check_hashes: reads every file and compares
        its SHA-256. manifest_sha256, max_unknown: see `Summarizer.load`. Raises: BundleError,
        EngineError, OptionsError for impossible threads or a max_unknown that is no share.
        """
        opened = open_task(
            source,
            "feature-extraction",
            lambda bundle: OrtFeatures(bundle, threads=threads),
            precision=precision,
            revision=revision,
            check_hashes=check_hashes,
            manifest_sha256=manifest_sha256,
            max_unknown=max_unknown,
        )
        return cls(opened.bundle, opened.model, opened.tokenizer)

    @overload  # a str is an Iterable[str] too; the first match is the one that counts
    def extract(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        truncate: bool = False,
        decoder_input_ids: Sequence[int] | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Features: ...

    @overload
    def extract(
        self,
        texts: Iterable[str],
        *,
        truncate: bool = False,
        decoder_input_ids: Sequence[int] | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[Features]: ...

    def extract(
        self,
        texts: str | Iterable[str],
        *,
        truncate: bool = False,
        decoder_input_ids: Sequence[int] | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Features | list[Features]:
        """The hidden states of one text, or of each of several, which are those of it alone.

        truncate: cuts a text that is over the bundle's limit, rather than raising.
        decoder_input_ids: what the decoder reads, the same for all texts. None is the text itself
        one place behind: the start token, then all tokens but the last. So does transformers'
        BigBirdPegasusModel; its PegasusModel has no default, and its pipeline fails with it.
        cancel, timeout_s: see `Summarizer.summarize`.
        Raises: InputError, EngineError, OptionsError; GenerationInterrupted, whose `results` are
        those of the texts that were finished.
        """
        model = self._open_engine()
        check_several("texts", texts)
        target = None if decoder_input_ids is None else self._check_target(decoder_input_ids)
        if isinstance(texts, str):
            encodings = [self._encode(texts, truncate=truncate)]
        else:
            encodings = self._encode_all(texts, truncate=truncate)
        targets = [target or self._shift_right(each.token_ids) for each in encodings]
        order = sorted(range(len(encodings)), key=lambda each: -len(encodings[each].token_ids))
        watch = Watch(
            len(encodings),
            on_progress=None,
            cancel=cancel,
            timeout_s=timeout_s,
            what="extraction",
            shorter="shorter texts or fewer of them",
        )
        longest_first = [encodings[each].token_ids for each in order]
        read = [targets[each] for each in order]
        found = watch.each(lambda interrupt: model.run(longest_first, read, interrupt=interrupt))
        results: dict[int, Features] = {}
        try:
            for number, hidden in zip(order, found, strict=True):
                results[number] = _features(hidden, encodings[number], targets[number])
        except GenerationInterrupted as err:
            err.results = tuple(results.get(number) for number in range(len(encodings)))
            raise
        return results[0] if isinstance(texts, str) else [results[each] for each in sorted(results)]

    def _encode_all(self, texts: Iterable[str], *, truncate: bool) -> list[Encoding]:
        encodings = []
        for number, text in enumerate(texts):
            try:
                encodings.append(self._encode(text, truncate=truncate))
            except InputError as err:
                raise InputError(f"text {number}: {err}") from err
        return encodings

    def _encode(self, text: str, *, truncate: bool) -> Encoding:
        limit = self.bundle.manifest.limits.max_source_tokens
        model = self.bundle.manifest.architecture
        return self._tokenizer.encode(text, max_tokens=limit, truncate=truncate, model=model)

    def _check_target(self, ids: Sequence[int]) -> tuple[int, ...]:
        check_target(ids, self.bundle.manifest)
        return tuple(int(token) for token in ids)

    def _shift_right(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Source: transformers, `shift_tokens_right`."""
        return (self.bundle.manifest.token_ids.decoder_start_token_id, *token_ids[:-1])


def _features(hidden: HiddenStates, encoding: Encoding, target: tuple[int, ...]) -> Features:
    decoded, encoded = hidden
    return Features(
        last_hidden_state=decoded,
        encoder_last_hidden_state=encoded,
        token_ids=encoding.token_ids,
        decoder_input_ids=target,
        truncated=encoding.truncated,
        unknown_share=encoding.unknown_share,
        control_characters=encoding.control_characters,
        looks_like_html=encoding.looks_like_html,
    )
