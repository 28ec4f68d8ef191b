"""Tensors of a file by their names in PegasusForConditionalGeneration, whatever wrapped the model.

Training tools save a model inside theirs, which puts a prefix before every name: Lightning
("model."), DistributedDataParallel ("module."), torch.compile ("_orig_mod."), TRL's value head
("pretrained_model."), any attribute. Where all of the network has one prefix it is taken off.
"""

import re
from collections.abc import Collection
from typing import Final

from pegasus_export.errors import CheckpointError

__all__ = ["canonical_name", "canonical_names"]

_OF_MODEL: Final = ("encoder.", "decoder.", "shared.")
# What wrappers put between the names of modules, not only before them.
_WRAPPERS: Final = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
_NETWORK: Final = re.compile(
    r"(?P<prefix>(?:.*?\.)??)(?:model\.)?"
    r"(?:(?:en|de)coder\.(?:layers\.\d|embed_|layer_?norm)|shared\.weight$)"
)
# As the classes of TensorFlow call the weights of a norm, which transformers 4 renamed.
_NORM_NAMES: Final = {"gamma": "weight", "beta": "bias"}


def canonical_names(names: Collection[str], source: object) -> tuple[dict[str, str], str]:
    """Name in the file -> canonical name, and the prefix that was taken off.

    Names without the prefix that others have are outside the network and not in the result.
    source: for messages. Raises: CheckpointError if there are several networks.
    """
    unwrapped = {name: _unwrap(name) for name in names}
    prefixes = {
        match["prefix"]
        for name in unwrapped.values()
        if (match := _NETWORK.match(name)) is not None
    }
    if len(prefixes) > 1:
        listed = ", ".join(repr(prefix) for prefix in sorted(prefixes))
        raise CheckpointError(
            f"{source} holds {len(prefixes)} networks, whose names begin with {listed}, expected "
            "one: save the one to export on its own"
        )
    prefix = prefixes.pop() if prefixes else ""
    return {
        name: canonical_name(plain.removeprefix(prefix))
        for name, plain in unwrapped.items()
        if plain.startswith(prefix)
    }, prefix


def _unwrap(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def canonical_name(name: str) -> str:
    """The name in PegasusForConditionalGeneration; PegasusModel's have no prefix.

    Heads, and what else stands beside the network, keep theirs.
    """
    module, _, last = name.rpartition(".")
    if last in _NORM_NAMES and "norm" in module:
        name = f"{module}.{_NORM_NAMES[last]}"
    return f"model.{name}" if name.startswith(_OF_MODEL) else name
