"""What a checkpoint's linear layers read while it summarises documents.

Nothing is kept of a document but what was asked for: a long one has gigabytes of activations.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pegasus_engines.precision.equalisation import Equalisation
from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import Pegasus

__all__ = ["Observed", "observe_inputs", "watch_inputs"]

Look = Callable[[str, Tensor], None]
"""Name of a module, and [rows, K] of what it reads."""
Float32 = npt.NDArray[np.float32]
_ROWS = 256  # of a layer's inputs
_ONE: Float32 = np.ones(1, dtype=np.float32)


@torch.no_grad()
def watch_inputs(
    pegasus: Pegasus,
    sources: Sequence[Sequence[int]],
    summaries: Sequence[Sequence[int]],
    look: Look,
) -> None:
    """Runs the checkpoint on sources and their summaries (token ids), and shows what layers read.

    The head goes by the name of its matrix, `model.shared` where it is tied.
    """

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            look(name, arguments[0].flatten(0, -2))

        return hook

    hooks = [
        module.register_forward_pre_hook(watch(name))
        for name, module in pegasus.named_modules()
        if isinstance(module, nn.Linear)
    ]
    head = "model.shared" if pegasus.lm_head is None else "lm_head"
    start = pegasus.config.decoder_start_token_id
    try:
        for source, summary in zip(sources, summaries, strict=True):
            input_ids = torch.tensor([list(source)])
            mask = torch.ones_like(input_ids)
            cross = whole.cross_keys(pegasus, whole.encode(pegasus, input_ids, mask), mask)
            hidden, _ = whole.decode(pegasus, torch.tensor([[start, *summary[:-1]]]), cross)
            look(head, hidden.flatten(0, 1))
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observed:
    """What linear layers were seen to read; by the names of their modules."""

    largest: Mapping[str, Float32] = field(default_factory=dict)
    """[K] the largest magnitude of each input channel."""
    rows: Mapping[str, Float32] = field(default_factory=dict)
    """[R, K] a sample, spread over all documents."""

    def equalised(self, equalisation: Equalisation) -> "Observed":
        """What they read of a network with the factors."""

        def divided(arrays: Mapping[str, Float32]) -> dict[str, Float32]:
            factors = equalisation.multiplied
            return {name: array / factors.get(name, _ONE) for name, array in arrays.items()}

        return Observed(largest=divided(self.largest), rows=divided(self.rows))

    @property
    def rows_to_round_by(self) -> Mapping[str, Float32]:
        """One half of them."""
        return {name: array[0::2] for name, array in self.rows.items()}

    @property
    def rows_to_judge_by(self) -> Mapping[str, Float32]:
        """The other half."""
        return {name: array[1::2] for name, array in self.rows.items()}


def observe_inputs(
    pegasus: Pegasus, sources: Sequence[Sequence[int]], summaries: Sequence[Sequence[int]]
) -> Observed:
    """Of the checkpoint on sources and their summaries (token ids)."""
    largest: dict[str, Tensor] = {}
    rows: dict[str, list[Tensor]] = {}
    quota = -(-_ROWS // max(1, len(sources)))  # of each document

    def look(name: str, seen: Tensor) -> None:
        found = seen.abs().amax(0)
        known = largest.get(name)
        largest[name] = found if known is None else torch.maximum(known, found)
        where = torch.linspace(0, len(seen) - 1, min(quota, len(seen))).long()
        rows.setdefault(name, []).append(seen[where].clone())

    watch_inputs(pegasus, sources, summaries, look)
    return Observed(
        largest={name: tensor.numpy() for name, tensor in largest.items()},
        rows={name: torch.cat(found).numpy() for name, found in rows.items()},
    )
