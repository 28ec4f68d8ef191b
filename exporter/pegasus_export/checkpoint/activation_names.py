"""Which activation a name of transformers is."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

__all__ = ["ACTIVATIONS", "WITH_WEIGHTS", "Activation"]

Activation = Literal[
    "relu",
    "gelu",
    "gelu_new",
    "silu",
    "gelu_10",
    "hardswish",
    "laplace",
    "leaky_relu",
    "linear",
    "mish",
    "quick_gelu",
    "relu2",
    "relu6",
    "sigmoid",
    "sqrtsoftplus",
    "tanh",
]
# transformers' names -> the functions they are; those of gelu_new differ in the last digit.
ACTIVATIONS: Final[Mapping[str, Activation]] = {
    **{name: name for name in get_args(Activation)},
    "swish": "silu",
    "gelu_python": "gelu",
    "gelu_accurate": "gelu_new",
    "gelu_fast": "gelu_new",
    "gelu_python_tanh": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
}
WITH_WEIGHTS: Final = ("prelu", "xielu")
"""Functions with weights of their own, which a checkpoint would hold."""
