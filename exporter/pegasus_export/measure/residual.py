"""By which power of two the residual stream is scaled, so that fp16 holds it.

The function does not change, see `pegasus_engines/precision/residual_shift.py`; what is chosen here
is where in fp16's range the stream lies.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pegasus_engines.precision.fp16 import LARGEST_HALF
from pegasus_engines.precision.residual_shift import ResidualShift
from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import DecoderLayer, EncoderLayer, Pegasus

__all__ = ["DEFAULT_SHIFT", "choose_shift", "largest_residual"]

DEFAULT_SHIFT = ResidualShift(bits=4)
"""At least: the largest known residual of a published checkpoint, 6.9e4, becomes 4.3e3."""
_HEADROOM = 16  # other documents may have larger values than those that were looked at


def choose_shift(largest: float) -> ResidualShift:
    """Such that the largest residual, shifted, and times a headroom of 16, is one of fp16's."""
    if largest <= 0:
        return DEFAULT_SHIFT
    bits = math.ceil(math.log2(largest * _HEADROOM / LARGEST_HALF))
    return ResidualShift(bits=max(DEFAULT_SHIFT.bits, bits))


@torch.no_grad()
def largest_residual(pegasus: Pegasus, sources: Sequence[Sequence[int]]) -> float:
    """The largest magnitude in the stream, or of what is added to it, while these are read.

    The decoder reads the beginning of each source as if it were its summary.
    """
    largest = 0.0

    def look(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal largest
        largest = max(largest, float(output.abs().max()))

    hooks = [
        module.register_forward_hook(look)
        for name, module in pegasus.named_modules()
        if isinstance(module, EncoderLayer | DecoderLayer) or name.endswith((".out_proj", ".fc2"))
    ]
    try:
        for source in sources:
            input_ids = torch.tensor([list(source)])
            cross = None
            if pegasus.model.encoder is not None:
                mask = torch.ones_like(input_ids)
                cross = whole.cross_keys(pegasus, whole.encode(pegasus, input_ids, mask), mask)
            longest = pegasus.config.max_position_embeddings
            whole.decode(pegasus, input_ids[:, : min(64, longest)], cross)
    finally:
        for hook in hooks:
            hook.remove()
    return largest
