"""Hypotheses and how they are scored."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Hypothesis", "divide_scores", "length_divisor", "penalize_length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One generated sequence."""

    token_ids: tuple[int, ...]
    """Without start token, prompt and padding; EOS is kept, also when it was forced, and so is a
    summary's prefix."""
    score: float
    """Sum of log-probabilities / generated tokens ** length_penalty, EOS counted.

    Beam search sums the scores it searched by, as transformers does: log-probabilities after the
    processors. Greedy search and sampling, for which transformers defines no score, sum the model's
    own log-probabilities. A forced token counts 0 in both.
    """
    token_scores: tuple[float, ...] | None = None
    """Of each generated token, EOS too, where they were asked for; not of a prefix.

    They are those of transformers' `compute_transition_scores`: of beams, the scores that make the
    sum above; otherwise log-probabilities after processors and warpers (`normalize_logits=True`).
    """


def penalize_length(
    log_probs: npt.NDArray[np.float32],
    num_generated: int | npt.NDArray[np.int64],
    length_penalty: float,
) -> npt.NDArray[np.float32]:
    """Divides summed log-probabilities by generated tokens ** length_penalty, in fp32."""
    return divide_scores(log_probs, length_divisor(num_generated, length_penalty))


def divide_scores(
    log_probs: npt.NDArray[np.float32], divisor: npt.NDArray[np.float32] | np.float32
) -> npt.NDArray[np.float32]:
    """Summed log-probabilities over a divisor, in fp32."""
    with np.errstate(over="ignore"):  # of what is as unlikely as can be
        divided: npt.NDArray[np.float32] = log_probs / divisor
    return divided


def length_divisor(
    num_generated: int | npt.NDArray[np.int64], length_penalty: float
) -> npt.NDArray[np.float32]:
    """What `penalize_length` divides by: within fp32, as by 0 or infinity scores would be NaN."""
    ends = np.finfo(np.float32)
    with np.errstate(over="ignore"):
        power = np.float_power(num_generated, length_penalty)
    return np.asarray(power.clip(ends.smallest_subnormal, ends.max), dtype=np.float32)
