"""What a checkpoint's linear layers read while it summarises documents.

Nothing is kept of a document but what was asked for: a long one has gigabytes of activations.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import Pegasus

__all__ = ["largest_inputs", "watch_inputs"]

Look = Callable[[str, Tensor], None]
"""Name of a module, and [rows, K] of what it reads."""
Float32 = npt.NDArray[np.float32]


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


def largest_inputs(
    pegasus: Pegasus, sources: Sequence[Sequence[int]], summaries: Sequence[Sequence[int]]
) -> dict[str, Float32]:
    """Name of a linear layer -> [K] the largest magnitude of each input channel."""
    largest: dict[str, Tensor] = {}

    def look(name: str, rows: Tensor) -> None:
        found = rows.abs().amax(0)
        known = largest.get(name)
        largest[name] = found if known is None else torch.maximum(known, found)

    watch_inputs(pegasus, sources, summaries, look)
    return {name: tensor.numpy() for name, tensor in largest.items()}
