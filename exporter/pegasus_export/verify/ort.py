"""Target `ort` through the runtime's own sessions: what was verified is what will run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_export.errors import VerificationError
from pegasus_export.verify.measure import Expected, Measured, measure
from pegasus_export.verify.reference import Reference, Sources
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.protocol import Decoding, StepScores
from pegasus_runtime.sessions.ort.decoder import OrtDecoder
from pegasus_runtime.sessions.ort.encoder import OrtEncoder, OrtSource
from pegasus_runtime.sessions.ort.halves import as_floats
from pegasus_runtime.sessions.ort.prefill import OrtPrefill

__all__ = ["check_candidates", "decode_reference", "score_pairs", "verify_ort"]

Array = npt.NDArray[np.generic]
_NUM_CANDIDATES = 6


def verify_ort(bundle: Bundle, reference: Reference) -> list[Measured]:
    """Encoder or prefill, and every decoder step over cache and beams that change places.

    Raises: VerificationError; EngineError if a graph does not load or run.
    """
    precision, measured = bundle.manifest.precision, []
    source: OrtSource = {}
    if reference.short.cross_keys:
        # One graph is in memory at a time, as ONNX Runtime keeps a copy of every weight it packs.
        encoder = OrtEncoder(bundle)
        source = encoder.encode(reference.short.token_ids)
        pairs = _cross_pairs(bundle, source, reference.short)
        measured.append(measure("encoder", pairs, precision))
        if reference.long is not None:
            is_local = bundle.manifest.architecture.attention_type == "block_local"
            ways = (("block-sparse", True), ("padded", False))
            for graph, whole_blocks in (("block-local", False),) if is_local else ways:
                found = encoder.encode(reference.long.token_ids, whole_blocks=whole_blocks)
                pairs = _cross_pairs(bundle, found, reference.long)
                measured.append(measure(f"encoder, {graph}", pairs, precision))
        del encoder
    read = None if source else _prefill(bundle, reference.histories[:, :-1])
    decoder = OrtDecoder(bundle)
    num_steps, batch, rows = reference.parents.shape
    decoding = decoder.start(source, batch=batch, rows_per_document=rows, max_length=num_steps)
    steps = decode_reference(decoding, reference)
    measured.append(measure("decoder_step", score_pairs(steps, reference), precision))
    for scores in steps:
        check_candidates(scores)
    if read is not None:  # the step behind it is known to be right by now
        pairs = _prefill_pairs(read, decoder, reference)
        measured.append(measure("prefill", pairs, precision))
    return measured


def _cross_pairs(
    bundle: Bundle, source: OrtSource, expected: Sources
) -> list[tuple[Array, Expected]]:
    """What the encoder gives of the tokens, and what is expected."""
    names = bundle.manifest.architecture.cross_names
    head_dim = bundle.manifest.architecture.head_dim
    arrays = [as_floats(source[name].array, head_dim) for name in names]
    got = [expected.keys_of_tokens(array) for array in arrays]
    return list(zip(got, expected.cross_keys, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Read:
    """What a prefill makes of tokens [N, P]."""

    keys: Mapping[str, npt.NDArray[np.float32]]
    """N of [H, P, Dh] each."""
    hidden: npt.NDArray[np.float32]
    """[N, P, D]"""


def _prefill(bundle: Bundle, tokens: npt.NDArray[np.int64]) -> _Read:
    """In two runs, the second of which has a past."""
    prefill = OrtPrefill(bundle)
    facts = bundle.manifest.architecture
    empty = np.zeros((len(tokens), facts.decoder_heads, 0, facts.head_dim), np.float32)
    keys, hidden = dict.fromkeys(prefill.names, empty), []
    for part in np.array_split(tokens, 2, axis=1):
        keys, states = prefill.run(part, keys)
        hidden.append(states)
    return _Read(keys=keys, hidden=np.concatenate(hidden, axis=1))


def _prefill_pairs(
    read: _Read, decoder: OrtDecoder, reference: Reference
) -> list[tuple[Array, Expected]]:
    """Its hidden states, and what a step behind its keys gives."""
    rows, length = reference.histories.shape
    decoding = decoder.start({}, batch=rows, rows_per_document=1, max_length=length)
    decoding.fill(read.keys)
    scores = decoding.step(reference.histories[:, -1], None, num_candidates=1, full=True)
    assert scores.log_probs is not None
    return [
        (read.hidden, reference.last_hidden.at(np.s_[:, :-1])),
        (scores.log_probs, reference.step_log_probs[-1]),
    ]


def decode_reference(decoding: Decoding, reference: Reference) -> list[StepScores]:
    """What each step of the reference gives."""
    _, batch, rows = reference.parents.shape
    steps = []
    for step, tokens in enumerate(reference.step_tokens):
        first = step == 0
        scores = decoding.step(
            tokens.reshape(batch, rows)[:, 0] if first else tokens,
            None if first else reference.parents[step],
            num_candidates=min(_NUM_CANDIDATES, reference.logits.exact.shape[-1]),
            full=True,
        )
        steps.append(scores)
    return steps


def score_pairs(steps: Sequence[StepScores], reference: Reference) -> list[tuple[Array, Expected]]:
    """What each step gives, and what is expected; the first has one row per document."""
    rows = reference.parents.shape[2]
    expected = zip(reference.step_log_probs, reference.step_normalizers, strict=True)
    pairs: list[tuple[Array, Expected]] = []
    for step, (scores, (log_probs, normalizer)) in enumerate(zip(steps, expected, strict=True)):
        assert scores.log_probs is not None
        assert scores.log_normalizer is not None
        kept = np.s_[::rows] if step == 0 else np.s_[:]
        pairs.append((scores.log_probs, log_probs.at(kept)))
        pairs.append((scores.log_normalizer, normalizer.at(kept)))
    return pairs


def check_candidates(scores: StepScores) -> None:
    """The candidates are the best of the graph's own log-probabilities, which sum to one.

    Raises: VerificationError.
    """
    assert scores.log_probs is not None
    count = scores.top_ids.shape[1]
    best = np.argsort(-scores.log_probs, axis=1, kind="stable")[:, :count]
    total = np.exp(scores.log_probs.astype(np.float64)).sum(axis=1)
    same_scores = np.array_equal(
        scores.top_scores, np.take_along_axis(scores.log_probs, best, axis=1)
    )
    if not (
        np.array_equal(scores.top_ids, best) and same_scores and np.allclose(total, 1, atol=1e-3)
    ):
        raise VerificationError(
            "graph decoder_step: its candidates are not the best of its own log-probabilities: "
            "report this with the checkpoint's config.json"
        )
