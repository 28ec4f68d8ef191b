"""What the torch modules say of a small random batch: the expectation that bundles are held to.

Computed eagerly from whole sequences in the standard dialect, with no cache and no beams, so that
it shares nothing with the graphs but the weights: once in float64, which is the truth, and a few
times in float32, which says how near to it float32 comes on this checkpoint.

Dimensions: B documents, R rows per document, N = B*R, S source, T target, V vocabulary.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt
import torch

from pegasus_export.graphs import heads, whole
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.verify.arithmetic import Exact, Jittered
from pegasus_export.verify.inputs import (
    ROWS_PER_DOCUMENT,
    Inputs,
    draw_inputs,
    pad_documents,
    select_keys,
    select_tokens,
)
from pegasus_export.verify.measure import NOTHING, TOLERANCES, Errors, Expected, errors_of
from pegasus_export.verify.weights import sum_weights

__all__ = ["Reference", "Sources", "make_reference"]

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Array = npt.NDArray[np.generic]
_JITTERED_RUNS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sources:
    """Documents, and what the encoder and the heads that read documents make of their tokens.

    Only tokens count, not padding: P tokens in all documents.
    """

    token_ids: list[list[int]]
    """B token-id lists, of unequal length where there are several."""
    encoded: Expected
    """[P, D] last hidden state of the encoder; empty where there is none."""
    cross_keys: list[Expected]
    """2 L of [P, H, Dh]: keys of all decoder layers, then values."""
    head_outputs: list[Expected]
    """[B, labels] of a classifier; two of [P, 1] of question answering."""

    def padded(self, pad_token_id: int) -> tuple[Int64, Int64]:
        """The documents as input_ids and attention_mask, both [B, S]."""
        return pad_documents(self.token_ids, pad_token_id)

    def of_tokens(self, array: Array) -> Array:
        """[B, S, ...] -> [P, ...]."""
        return select_tokens(array, self.token_ids)

    def keys_of_tokens(self, array: Array) -> Array:
        """[B, H, S, Dh] -> [P, H, Dh]."""
        return select_keys(array, self.token_ids)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """Inputs, and what the checkpoint makes of them."""

    short: Sources
    """Documents of unequal length; without tokens where there is no encoder."""
    long: Sources | None
    """One that is long enough for sparse attention, where the encoder has it."""
    histories: Int64
    """[N, T] decoder inputs: what each row has read once all steps are done."""
    parents: Int64
    """[T, B, R]: at step t, row r continues the history of row parents[t, b, r]."""
    step_tokens: Int64
    """[T, N] the token that each row reads at step t."""
    step_log_probs: list[Expected]
    """T of [N, V]: after step t, for the histories as they are then."""
    step_normalizers: list[Expected]
    """T of [N, 1]: by how much the logits are above their log-probabilities."""
    logits: Expected
    """[N, T, V] over `histories`."""
    last_hidden: Expected
    """[N, T, D] of the decoder over `histories`."""
    weights: Mapping[str, tuple[int, int]]
    """Name -> rows and checksum: see `weights.py`."""


_Outputs = dict[str, Array]


@torch.no_grad()
def make_reference(pegasus: Pegasus, precision: str = "fp32", *, seed: int = 0) -> Reference:
    """Runs the torch modules on random tokens; a decoder-only checkpoint gets no sources.

    precision: of the bundles that are held to it, whose rounding torch's runs are jittered with.
    """
    inputs = draw_inputs(pegasus, seed=seed)
    expected = _expect(pegasus, inputs, precision)

    def sources(name: str, token_ids: list[list[int]]) -> Sources:
        return Sources(
            token_ids=token_ids,
            encoded=expected.get(f"{name}.encoded", NOTHING),
            cross_keys=_numbered(expected, f"{name}.cross_key"),
            head_outputs=_numbered(expected, f"{name}.head"),
        )

    return Reference(
        short=sources("short", inputs.short),
        long=sources("long", inputs.long) if inputs.long else None,
        histories=inputs.histories[-1],
        parents=inputs.parents,
        step_tokens=inputs.tokens,
        step_log_probs=_numbered(expected, "step_log_probs"),
        step_normalizers=_numbered(expected, "step_normalizer"),
        logits=expected["logits"],
        last_hidden=expected["last_hidden"],
        weights=sum_weights(pegasus),
    )


def _expect(pegasus: Pegasus, inputs: Inputs, precision: str) -> dict[str, Expected]:
    """The truth of each output, and how far from it torch's runs are; of these, none is kept."""
    tolerance = TOLERANCES[precision]
    with Exact():
        exact = {name: np.asarray(x, np.float64) for name, x in _run(pegasus, inputs).items()}
    fp32 = _run_errors(_run(pegasus, inputs), exact)
    rounded = dict(fp32)
    for seed in range(_JITTERED_RUNS):
        with Jittered(tolerance.eps, seed, of_largest=tolerance.by_norm):
            found = _run_errors(_run(pegasus, inputs), exact)
        rounded = {name: _larger(rounded[name], found[name]) for name in exact}
    return {
        name: Expected(exact=exact[name], fp32=fp32[name], rounded=rounded[name]) for name in exact
    }


def _run_errors(outputs: _Outputs, exact: dict[str, Float64]) -> dict[str, Errors]:
    return {name: errors_of(outputs[name], exact[name]) for name in exact}


def _larger(one: Errors, other: Errors) -> Errors:
    """What is not finite is left out: a jittered run may go beyond what float32 holds."""
    if not np.isfinite(other.norm):
        return one
    return Errors(rows=np.maximum(one.rows, other.rows), norm=max(one.norm, other.norm))


def _run(pegasus: Pegasus, inputs: Inputs) -> _Outputs:
    """Every output by name, in whatever arithmetic it is called."""
    outputs, cross = _read(pegasus, "short", inputs.short)
    if inputs.long:
        outputs |= _read(pegasus, "long", inputs.long)[0]
    return outputs | _continue(pegasus, inputs, cross)


def _continue(pegasus: Pegasus, inputs: Inputs, cross: whole.CrossKeys | None) -> _Outputs:
    """What follows the histories of all steps, which are read at once: T*N rows of T tokens."""
    rows, steps = inputs.histories[-1].shape
    padded = [np.pad(each, ((0, 0), (0, steps - each.shape[1]))) for each in inputs.histories]
    token_ids = torch.from_numpy(np.concatenate(padded))  # T of [N, t + 1] -> [T*N, T]
    hidden, _ = whole.decode(pegasus, token_ids, _spread(cross, steps))
    last = torch.arange(steps)
    ends = torch.unflatten(hidden, 0, (steps, rows))[last, :, last]  # [T*N, T, D] -> [T, N, D]
    hidden = hidden[-rows:]
    logits = pegasus.logits(torch.cat([ends.flatten(0, 1), hidden.flatten(0, 1)]))
    ending = torch.unflatten(logits[: steps * rows], 0, (steps, rows))  # [T, N, V]
    log_probs = torch.log_softmax(ending, dim=-1)
    normalizers = torch.logsumexp(ending, dim=-1, keepdim=True)
    outputs: _Outputs = {
        "logits": whole.batched(logits[steps * rows :], hidden).numpy(),
        "last_hidden": hidden.numpy(),
    }
    for step in range(steps):
        outputs[f"step_log_probs.{step}"] = log_probs[step].numpy()
        outputs[f"step_normalizer.{step}"] = normalizers[step].numpy()
    return outputs


def _read(
    pegasus: Pegasus, name: str, token_ids: list[list[int]]
) -> tuple[_Outputs, whole.CrossKeys | None]:
    """What is made of the tokens of documents, and what the decoder attends to."""
    if pegasus.model.encoder is None:
        return {}, None
    padded = pad_documents(token_ids, pegasus.config.pad_token_id)
    input_ids, attention_mask = map(torch.from_numpy, padded)
    encoded = whole.encode(pegasus, input_ids, attention_mask)
    cross = whole.cross_keys(pegasus, encoded, attention_mask)
    outputs = {f"{name}.encoded": select_tokens(encoded.numpy(), token_ids)}
    for index, keys in enumerate((*cross.keys, *cross.values)):
        outputs[f"{name}.cross_key.{index}"] = select_keys(keys.numpy(), token_ids)
    is_classifier = pegasus.classification_head is not None
    for index, output in enumerate(heads.run_head(pegasus, input_ids, attention_mask)):
        array = output.numpy()
        outputs[f"{name}.head.{index}"] = (
            array if is_classifier else select_tokens(array[..., None], token_ids)
        )
    return outputs, cross


def _numbered(expected: dict[str, Expected], name: str) -> list[Expected]:
    """name.0, name.1 and so on."""
    numbers = itertools.takewhile(lambda i: f"{name}.{i}" in expected, itertools.count())
    return [expected[f"{name}.{number}"] for number in numbers]


class _Spread(Sequence[torch.Tensor]):
    """Every document's keys once per row, a layer at a time: [B, ...] -> [T*N, ...]."""

    def __init__(self, keys: Sequence[torch.Tensor], steps: int) -> None:
        self.keys = keys
        self.steps = steps

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, layer: int) -> torch.Tensor: ...

    @overload
    def __getitem__(self, layer: slice) -> "_Spread": ...

    def __getitem__(self, layer: int | slice) -> "torch.Tensor | _Spread":
        if isinstance(layer, slice):
            return _Spread(self.keys[layer], self.steps)
        return _repeat(self.keys[layer], self.steps)


def _spread(cross: whole.CrossKeys | None, steps: int) -> whole.CrossKeys | None:
    if cross is None:
        return None
    return whole.CrossKeys(
        keys=_Spread(cross.keys, steps),
        values=_Spread(cross.values, steps),
        attention_mask=_repeat(cross.attention_mask, steps),
    )


def _repeat(tensor: torch.Tensor, steps: int) -> torch.Tensor:
    rows = tensor.repeat_interleave(ROWS_PER_DOCUMENT, 0)  # [B, ...] -> [N, ...]
    return rows.repeat(steps, *[1] * (tensor.dim() - 1))
