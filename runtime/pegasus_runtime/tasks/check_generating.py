"""A bundle as one that generates."""

from collections.abc import Set

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import BundleError
from pegasus_runtime.search.unsupported import unsupported_defaults

__all__ = ["check_generating"]


def check_generating(bundle: Bundle, graphs: Set[str]) -> None:
    """Raises: BundleError for a graph that is missing, and defaults that are not offered."""
    manifest, folder = bundle.manifest, bundle.folder
    missing = graphs - set(manifest.graphs)
    if missing:
        raise BundleError(f"{folder}: has no graph {min(missing)}: export the checkpoint again")
    names = unsupported_defaults(manifest.generation)
    if names:
        raise BundleError(
            f"{folder}: its generation defaults use {', '.join(names)}, which this version does "
            "not offer: export the checkpoint without them"
        )
