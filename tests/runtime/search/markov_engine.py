"""A Markov chain behind the engine Protocol: its best sequences can be found by trying them all."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import StepScores

PAD, EOS, START = 0, 1, 0


class MarkovEngine:
    """Scores the next token from the last one, and from the document's first token.

    log_probs [D, V, V]: document kind (first source token modulo D), last token, next token.
    """

    def __init__(self, log_probs: npt.NDArray[np.float32], *, normalizer: float = 0.0) -> None:
        self.log_probs = log_probs
        self.normalizer = normalizer
        self.calls: list[tuple[int, int, bool]] = []
        """Rows, candidates asked for, and whether full, of every step."""
        self.kept: list[list[int]] = []
        """What `keep` was called with, each time."""

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> "MarkovDecoding":
        kinds = np.array([source[0] % len(self.log_probs) for source in sources])
        return MarkovDecoding(self, kinds, rows_per_document, max_length)


class MarkovDecoding:
    """Holds every row's history, so as to check the parents it is given."""

    def __init__(
        self,
        engine: MarkovEngine,
        kinds: npt.NDArray[np.int64],
        rows_per_document: int,
        max_length: int,
    ) -> None:
        self.engine, self.kinds, self.rows = engine, kinds, rows_per_document
        self.max_length = max_length
        self.history = np.empty((len(kinds), 1, 0), np.int64)

    def step(
        self,
        tokens: npt.NDArray[np.int64],
        parents: npt.NDArray[np.int64] | None,
        *,
        num_candidates: int,
        full: bool,
    ) -> StepScores:
        num_documents = len(self.kinds)
        if parents is None:
            assert self.history.shape[2] == 0
            assert tokens.shape == (num_documents,)
        else:
            assert parents.shape == (num_documents, self.rows)
            assert parents.min() >= 0
            assert parents.max() < self.history.shape[1]
            self.history = np.take_along_axis(self.history, parents[:, :, None], axis=1)
        assert tokens.dtype == np.int64
        appended = tokens.reshape(num_documents, -1, 1)  # [B*R] -> [B, R, 1]
        self.history = np.concatenate([self.history, appended], axis=2)
        assert self.history.shape[2] < self.max_length
        self.engine.calls.append((len(tokens), num_candidates, full))
        rows_per_document = self.history.shape[1]
        kinds = np.repeat(self.kinds, rows_per_document)
        log_probs = self.engine.log_probs[kinds, tokens]  # [N, V]
        return scores_from_log_probs(log_probs, num_candidates, full, self.engine.normalizer)

    def keep(self, documents: npt.NDArray[np.int64]) -> None:
        assert documents.dtype == np.int64
        assert 0 < len(documents) < len(self.kinds)
        assert len(set(documents.tolist())) == len(documents)
        self.engine.kept.append(documents.tolist())
        self.kinds, self.history = self.kinds[documents], self.history[documents]


def scores_from_log_probs(
    log_probs: npt.NDArray[np.float32], num_candidates: int, full: bool, normalizer: float = 0.0
) -> StepScores:
    """What an engine returns for log-probabilities [N, V]."""
    assert num_candidates <= log_probs.shape[1]
    ids = np.argsort(-log_probs, axis=1, kind="stable")[:, :num_candidates]
    return StepScores(
        top_scores=np.take_along_axis(log_probs, ids, axis=1),
        top_ids=ids,
        log_probs=log_probs if full else None,
        log_normalizer=np.full((len(log_probs), 1), normalizer, np.float32) if full else None,
    )


def random_chain(
    rng: np.random.Generator, *, num_kinds: int, vocab_size: int, sharpness: float = 3.0
) -> npt.NDArray[np.float32]:
    """Random normalized log-probabilities [D, V, V]."""
    logits = rng.standard_normal((num_kinds, vocab_size, vocab_size)) * sharpness
    logits -= np.logaddexp.reduce(logits, axis=2, keepdims=True)
    return logits.astype(np.float32)


def rank_all_sequences(
    log_probs: npt.NDArray[np.float32], *, max_new_tokens: int, length_penalty: float
) -> list[tuple[float, tuple[int, ...]]]:
    """Every sequence that ends in EOS, or in anything at max_new_tokens, best first."""
    vocab_size = len(log_probs)
    ranked = []
    for length in range(1, max_new_tokens + 1):
        for sequence in itertools.product(range(vocab_size), repeat=length):
            if EOS in sequence[:-1] or (sequence[-1] != EOS and length < max_new_tokens):
                continue
            steps = zip((START, *sequence), sequence, strict=False)
            total = sum(float(log_probs[last, token]) for last, token in steps)
            ranked.append((total / length**length_penalty, sequence))
    return sorted(ranked, reverse=True)
