"""The same torch modules in another arithmetic: exact, or with roundings that fall otherwise.

Both are modes in which torch's functions are called, so that not a line of the modules is written
twice: what is measured is what is traced.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["Exact", "Jittered"]

_WIDENED = 4 * 1024 * 1024  # weights at a time: 32 MiB
_Function = Callable[..., Any]


class Exact(TorchFunctionMode):
    """Computes modules of float32 weights in float64; a part of a layer's weights is widened at a
    time, and of an embedding the rows that are looked up."""

    def __torch_function__(
        self,
        func: _Function,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """See torch: called in place of each of its functions."""
        if func is functional.embedding:
            return func(*args, **(kwargs or {})).double()
        if func is functional.layer_norm:
            return _layer_norm(*args, **(kwargs or {}))
        if func is functional.linear:
            return _linear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _layer_norm(
    hidden: Tensor, shape: Sequence[int], weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    return functional.layer_norm(hidden, shape, weight.double(), bias.double(), eps)


def _linear(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rows = max(1, _WIDENED // weight.shape[1])
    products = [hidden @ part.double().T for part in torch.split(weight, rows)]
    product = torch.cat(products, dim=-1)
    return product if bias is None else product + bias


class Jittered(TorchFunctionMode):
    """Rounds once more, at random, wherever arithmetic rounds.

    eps: standard deviation of that, relative to each value; with `of_largest`, relative to the
    largest of its row, as a quantised row has it.
    """

    def __init__(self, eps: float, seed: int, *, of_largest: bool = False) -> None:
        super().__init__()
        self.eps = eps
        self.of_largest = of_largest
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self,
        func: _Function,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """See torch: called in place of each of its functions."""
        result = func(*args, **(kwargs or {}))
        if func in _ROUNDED and result.dtype == torch.float32:
            return self._jitter(result)
        return result

    def _jitter(self, result: Tensor) -> Tensor:
        noise = torch.empty_like(result).normal_(0.0, self.eps, generator=self.generator)
        size = result.abs().amax(dim=-1, keepdim=True) if self.of_largest else result
        # masks are the lowest number there is, and stay it
        return torch.where(result < _MASKED, result, result + noise * size)


_MASKED = torch.finfo(torch.float32).min / 2
_ROUNDED = (
    functional.linear,
    functional.layer_norm,
    torch.softmax,
    torch.Tensor.matmul,
    torch.Tensor.add,
)
