"""generate.onnx against the bundle's other graphs, which are known to be right by then.

Whatever it generates, the other graphs say what that scores, token by token. Where beams nearly
tie, rounding may choose another row than elsewhere; its score is right all the same.

Dimensions: T target tokens, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_engines.ort import Graph, open_graph
from pegasus_export.errors import VerificationError
from pegasus_export.generation.compose import GENERATE
from pegasus_export.generation.fixed import FixedSettings
from pegasus_export.verify.inputs import pad_documents
from pegasus_export.verify.measure import TOLERANCES, Measured
from pegasus_export.verify.reference import Reference
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.sessions.ort.decoder import OrtDecoder
from pegasus_runtime.sessions.ort.encoder import OrtEncoder

__all__ = ["verify_generation"]

_LogProbs = Callable[[list[int], list[int]], npt.NDArray[np.generic]]
"""A document, and T tokens of a target -> [T, V]: of what may follow each."""
_BEAMS = 3
_MAX_LENGTH = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One that was generated."""

    score: float
    expected: float
    size: float
    """What its error is relative to: the largest log-probability, for each of its tokens."""


def verify_generation(
    bundle: Bundle, reference: Reference, measured: Sequence[Measured], fixed: FixedSettings
) -> Measured:
    """Greedy search and beams on the reference's documents. measured: of the other graphs.

    Raises: VerificationError; EngineError if a graph does not load or run.
    """
    log_probs = _step_by_step(bundle) if bundle.manifest.target == "ort" else _at_once(bundle)
    run = open_graph(bundle, GENERATE)
    documents = [reference.short.token_ids, *([reference.long.token_ids] if reference.long else [])]
    rows = [
        row
        for token_ids in documents
        for num_beams in (1, min(_BEAMS, fixed.max_beams))
        for row in _generate(run, token_ids, num_beams, log_probs, fixed)
    ]
    tolerance = 2 * max(each.tolerance for each in measured)  # of either way
    if TOLERANCES[bundle.manifest.precision].by_norm:
        tolerance = min(tolerance, 1.0)
    error = max(abs(row.score - row.expected) / row.size for row in rows)
    if not error <= tolerance:
        raise VerificationError(
            f"graph {GENERATE}: what it generates scores otherwise in the bundle's other graphs, "
            f"by {error:.1e}, expected at most {tolerance:.1e}: report this with the checkpoint's "
            "config.json"
        )
    return Measured(graph=GENERATE, error=error, fp32_error=0.0, tolerance=tolerance)


def _generate(
    run: Graph,
    documents: list[list[int]],
    num_beams: int,
    log_probs: _LogProbs,
    fixed: FixedSettings,
) -> Iterator[_Row]:
    """The best row of each document. Raises: VerificationError where it is none."""
    max_length = min(_MAX_LENGTH, fixed.max_length)
    found = run(_feeds(documents, num_beams, max_length, fixed))
    for document, sequence, length, score in zip(
        documents,
        found["sequences"][:, 0],
        found["lengths"][:, 0],
        found["scores"][:, 0],
        strict=True,
    ):
        tokens = sequence[: int(length)].tolist()
        if (
            not tokens
            or len(tokens) >= max_length
            or not set(tokens) <= set(range(fixed.vocab_size))
        ):
            raise VerificationError(
                f"graph {GENERATE}: generates {tokens}, expected 1 to {max_length - 1} tokens: "
                "report this with the checkpoint's config.json"
            )
        given = log_probs(document, [fixed.decoder_start, *tokens[:-1]])
        chosen = given[np.arange(len(tokens)), tokens].astype(np.float64)
        chosen[_forced(len(tokens), max_length, fixed)] = 0.0
        possible = given[np.isfinite(given)]
        yield _Row(
            score=float(score),
            expected=float(chosen.sum()),
            size=len(tokens) * float(np.abs(possible).max()),
        )


def _forced(length: int, max_length: int, fixed: FixedSettings) -> list[int]:
    """Places of tokens that were forced: they count 0."""
    first = [0] if fixed.forced_bos is not None else []
    return [*first, length - 1] if length == max_length - 1 and fixed.forced_eos else first


def _feeds(
    documents: list[list[int]], num_beams: int, max_length: int, fixed: FixedSettings
) -> dict[str, npt.NDArray[np.generic]]:
    """Without a length penalty: a score is then a sum of log-probabilities."""
    input_ids, attention_mask = pad_documents(documents, fixed.pad)
    numbers = {
        "num_beams": num_beams,
        "max_length": max_length,
        "min_length": 0,
        "early_stopping": 0,
        "no_repeat_ngram_size": 0,
        "num_return_sequences": 1,
    }
    return {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "length_penalty": np.array(0, np.float32),
        "repetition_penalty": np.array(1, np.float32),
        **{name: np.array(number, np.int64) for name, number in numbers.items()},
    }


def _step_by_step(bundle: Bundle) -> _LogProbs:
    encoder, decoder = OrtEncoder(bundle), OrtDecoder(bundle)

    def log_probs(document: list[int], tokens: list[int]) -> npt.NDArray[np.generic]:
        source = encoder.encode([document])
        decoding = decoder.start(source, batch=1, rows_per_document=1, max_length=len(tokens))
        given = []
        for place, token in enumerate(tokens):
            parents = np.zeros((1, 1), np.int64) if place else None
            scores = decoding.step(np.array([token]), parents, num_candidates=1, full=True)
            assert scores.log_probs is not None
            given.append(scores.log_probs[0])
        return np.stack(given)

    return log_probs


def _at_once(bundle: Bundle) -> _LogProbs:
    encode, decode = open_graph(bundle, "encoder_model"), open_graph(bundle, "decoder_model")

    def log_probs(document: list[int], tokens: list[int]) -> npt.NDArray[np.generic]:
        input_ids = np.array([document])
        mask = np.ones_like(input_ids)
        encoded = encode({"input_ids": input_ids, "attention_mask": mask})["last_hidden_state"]
        logits = decode(
            {
                "encoder_attention_mask": mask,
                "encoder_hidden_states": encoded,
                "input_ids": np.array([tokens]),
            }
        )["logits"][0].astype(np.float64)
        shifted = logits - logits.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))

    return log_probs
