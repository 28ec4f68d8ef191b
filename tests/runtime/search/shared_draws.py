"""transformers' draws made by our numbers, so that whole samples can be compared token by token."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from pegasus_runtime.search.draws import draw_distinct, seed_generators

__all__ = ["SharedDraws"]

ROUNDING = 1e-6


class SharedDraws(TorchFunctionMode):
    """While it is entered, torch.multinomial draws what the search would from the same weights.

    sources: of one call of `generate`, whose rows have a generator each, or each document's beams
    one. What is compared is the distribution at each step, of all rows and their order.
    """

    def __init__(self, sources: Sequence[Sequence[int]], seed: int, rows: int) -> None:
        super().__init__()
        self.generators = seed_generators(sources, seed, rows)
        self.is_close = False
        """Whether rounding may have decided a draw."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch.multinomial:
            return self._draw(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _draw(self, probs: torch.Tensor, num_samples: int) -> torch.Tensor:
        drawn = []
        for weights, generator in zip(probs.double().numpy(), self.generators, strict=True):
            lower, upper = _Shifted(generator, -ROUNDING), _Shifted(generator, ROUNDING)
            tokens = draw_distinct(weights, num_samples, generator)
            near = [draw_distinct(weights, num_samples, each) for each in (lower, upper)]
            self.is_close |= any(other.tolist() != tokens.tolist() for other in near)
            drawn.append(tokens)
        return torch.from_numpy(np.stack(drawn))


class _Shifted(np.random.Generator):
    """The numbers that another generator is about to give, all a little off."""

    def __init__(self, generator: np.random.Generator, shift: float) -> None:
        super().__init__(copy.deepcopy(generator.bit_generator))
        self.shift = shift

    def random(self, *args: Any, **kwargs: Any) -> Any:
        return min(max(super().random() + self.shift, 0.0), 1.0 - ROUNDING)
