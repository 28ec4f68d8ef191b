"""Which layers suffer most from a lower precision."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pegasus_engines.precision.int4 import BLOCK_SIZE, dequantize_blocks, quantize_blocks
from pegasus_engines.precision.int8 import dequantize_rows, quantize_rows
from pegasus_engines.precision.recipe import Format, Layer, PrecisionRecipe, find_layers
from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import Pegasus

__all__ = ["rank_layers"]

_MAX_ROWS = 256  # of a layer's inputs: a sample is enough to rank by
Float32 = npt.NDArray[np.float32]


@torch.no_grad()
def rank_layers(
    pegasus: Pegasus,
    recipe: PrecisionRecipe,
    sources: Sequence[Sequence[int]],
    summaries: Sequence[Sequence[int]],
) -> dict[str, float]:
    """Layer name -> relative error of its outputs, the worst first.

    The inputs are those that the checkpoint has on these sources and summaries (token ids). The
    error is ||y' - y|| / ||y||, where y' has weights and inputs as the recipe would have them.
    """
    inputs = _collect_inputs(pegasus, sources, summaries)
    weights = pegasus.state_dict()
    errors = {}
    for layer in find_layers(weights):
        rows, precision = inputs.get(layer.modules[0]), recipe.format_of(layer)
        if rows is not None and precision != "fp32":
            errors[layer.name] = _relative_error(layer, precision, rows, weights)
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def _collect_inputs(
    pegasus: Pegasus, sources: Sequence[Sequence[int]], summaries: Sequence[Sequence[int]]
) -> Mapping[str, Float32]:
    """Module name -> [rows, K] of what the module reads."""
    collected: dict[str, list[Tensor]] = {}

    def collect(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            collected.setdefault(name, []).append(arguments[0].flatten(0, -2))

        return hook

    hooks = [
        module.register_forward_pre_hook(collect(name))
        for name, module in pegasus.named_modules()
        if isinstance(module, nn.Linear)
    ]
    head = "model.shared" if pegasus.lm_head is None else "lm_head"
    try:
        for source, summary in zip(sources, summaries, strict=True):
            input_ids = torch.tensor([list(source)])
            mask = torch.ones_like(input_ids)
            cross = whole.cross_keys(pegasus, whole.encode(pegasus, input_ids, mask), mask)
            start = pegasus.config.decoder_start_token_id
            hidden, _ = whole.decode(pegasus, torch.tensor([[start, *summary[:-1]]]), cross)
            collected.setdefault(head, []).append(hidden.flatten(0, 1))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(rows)[:_MAX_ROWS].numpy() for name, rows in collected.items()}


def _relative_error(
    layer: Layer, precision: Format, rows: Float32, weights: Mapping[str, Tensor]
) -> float:
    matrix = np.concatenate([weights[name].numpy() for name in layer.weights])  # [N, K]
    if precision == "int8":
        coarse = dequantize_rows(quantize_rows(matrix))
        inputs = _round_activations(rows, np.abs(rows).max())
    else:
        coarse = dequantize_blocks(quantize_blocks(matrix), columns=matrix.shape[1])
        padding = ((0, 0), (0, -rows.shape[1] % BLOCK_SIZE))
        blocks = np.pad(rows, padding).reshape(len(rows), -1, BLOCK_SIZE)
        rounded = _round_activations(blocks, np.abs(blocks).max(axis=2, keepdims=True))
        inputs = rounded.reshape(len(rows), -1)[:, : rows.shape[1]]
    expected = rows @ matrix.T
    return float(np.linalg.norm(inputs @ coarse.T - expected) / np.linalg.norm(expected))


def _round_activations(rows: Float32, largest: npt.NDArray[np.float32]) -> Float32:
    """Eight bits with a sign, over a range of [-largest, largest]."""
    scale = np.maximum(largest, np.finfo(np.float32).tiny) / np.float32(127)
    rounded: Float32 = (np.rint(rows / scale) * scale).astype(np.float32)
    return rounded
