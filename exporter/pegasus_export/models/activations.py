"""The activations of feed-forward layers, in operators that every target has.

Each is the function of transformers' ACT2FN (transformers 5.23, activations.py); those that have
weights of their own are not among them. GELUs and quick_gelu are in the order of operators that
ONNX Runtime recognises, to make one operator of them.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from pegasus_export.checkpoint.config import Activation

__all__ = ["ACTIVATIONS", "HOMOGENEOUS"]

_LAPLACE_MEAN, _LAPLACE_WIDTH = 0.707107, 0.282095  # as transformers rounds them


def _gelu(hidden: Tensor) -> Tensor:
    return hidden * 0.5 * (1.0 + torch.erf(hidden / math.sqrt(2)))


def _gelu_new(hidden: Tensor) -> Tensor:
    inner = math.sqrt(2 / math.pi) * (hidden + 0.044715 * torch.pow(hidden, 3.0))
    return hidden * 0.5 * (1.0 + torch.tanh(inner))


def _gelu_10(hidden: Tensor) -> Tensor:
    return torch.clamp(_gelu(hidden), -10.0, 10.0)


def _hardswish(hidden: Tensor) -> Tensor:
    return hidden * torch.clamp(hidden + 3.0, 0.0, 6.0) / 6.0


def _laplace(hidden: Tensor) -> Tensor:
    scaled = (hidden - _LAPLACE_MEAN) / (_LAPLACE_WIDTH * math.sqrt(2.0))
    return 0.5 * (1.0 + torch.erf(scaled))


def _linear(hidden: Tensor) -> Tensor:
    return hidden


def _softplus(hidden: Tensor) -> Tensor:
    """log(1 + e^x), of which no part overflows in fp16.

    ONNX has no log1p, and its Softplus rounds e^x away: log(1 + y) is y * log(w) / (w - 1) where
    w = 1 + y is rounded (Kahan).
    """
    exponential = torch.exp(-torch.abs(hidden))
    rounded = 1.0 + exponential
    excess = rounded - 1.0
    is_lost = excess == 0.0
    ratio = torch.log(rounded) / torch.where(is_lost, 1.0, excess)
    return functional.relu(hidden) + exponential * torch.where(is_lost, 1.0, ratio)


def _mish(hidden: Tensor) -> Tensor:
    return hidden * torch.tanh(_softplus(hidden))


def _quick_gelu(hidden: Tensor) -> Tensor:
    return hidden * torch.sigmoid(1.702 * hidden)


def _relu2(hidden: Tensor) -> Tensor:
    positive = functional.relu(hidden)
    return positive * positive


def _relu6(hidden: Tensor) -> Tensor:
    return torch.clamp(hidden, 0.0, 6.0)


def _sqrtsoftplus(hidden: Tensor) -> Tensor:
    return torch.sqrt(_softplus(hidden))


ACTIVATIONS: Final[Mapping[Activation, Callable[[Tensor], Tensor]]] = {
    "relu": functional.relu,
    "gelu": _gelu,
    "gelu_new": _gelu_new,
    "silu": functional.silu,
    "gelu_10": _gelu_10,
    "hardswish": _hardswish,
    "laplace": _laplace,
    "leaky_relu": functional.leaky_relu,
    "linear": _linear,
    "mish": _mish,
    "quick_gelu": _quick_gelu,
    "relu2": _relu2,
    "relu6": _relu6,
    "sigmoid": torch.sigmoid,
    "sqrtsoftplus": _sqrtsoftplus,
    "tanh": torch.tanh,
}
"""By the config's names of them."""

HOMOGENEOUS: Final[frozenset[Activation]] = frozenset(("relu", "leaky_relu", "linear"))
"""Those that let a positive factor through: f(a x) = a f(x)."""
