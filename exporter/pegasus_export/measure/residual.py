"""By which power of two the residual stream is scaled, so that fp16 holds it.

The function does not change, see `pegasus_engines/precision/fp16.py`; what is chosen here is where
in fp16's range the stream lies.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import DecoderLayer, EncoderLayer, Pegasus

__all__ = ["DEFAULT_SHIFT", "choose_shift", "largest_residual", "scaled_residual"]

DEFAULT_SHIFT = 4
"""At least: the largest known residual of a published checkpoint, 6.9e4, becomes 4.3e3."""
_HEADROOM = 16  # other documents may have larger values than those that were looked at
_LARGEST_HALF = 65504.0


def choose_shift(largest: float) -> int:
    """k such that the largest residual, times 2^-k and a headroom of 16, is one of fp16's."""
    if largest <= 0:
        return DEFAULT_SHIFT
    return max(DEFAULT_SHIFT, math.ceil(math.log2(largest * _HEADROOM / _LARGEST_HALF)))


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


@contextlib.contextmanager
def scaled_residual(pegasus: Pegasus, shift: int) -> Iterator[None]:
    """While it lasts, what is traced expects weights that write 2^-shift of the residual stream.

    The module itself computes nonsense meanwhile, as its own weights are not scaled.
    """
    scale = 2.0**-shift
    norms = [module for module in pegasus.modules() if isinstance(module, nn.LayerNorm)]
    embed_scale, eps = pegasus.embed_scale, [norm.eps for norm in norms]
    pegasus.embed_scale = embed_scale * scale
    for norm in norms:
        norm.eps *= scale**2
    try:
        yield
    finally:
        pegasus.embed_scale = embed_scale
        for norm, before in zip(norms, eps, strict=True):
            norm.eps = before
