"""What a graph says of its network, for a comparison with the manifest.

A graph computes block-sparse attention whatever the manifest says of its blocks, and the runtime
pads and batches documents by the manifest: where the two differ, nothing else could tell.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pegasus_runtime.bundle.manifest import Architecture
from pegasus_runtime.errors import BundleError

__all__ = ["check_graph_metadata", "graph_metadata"]

_KEY = "pegasus_edge.architecture"


def graph_metadata(architecture: Architecture) -> dict[str, str]:
    """Entries of a ModelProto's metadata_props."""
    return {_KEY: json.dumps(asdict(architecture), sort_keys=True)}


def check_graph_metadata(
    path: Path, metadata: Mapping[str, str], architecture: Architecture
) -> None:
    """A graph that says nothing, as those of earlier versions, is taken as it is.

    Raises: BundleError if the graph at `path` says of its network what the manifest does not.
    """
    try:
        said = json.loads(metadata.get(_KEY, "{}"))
        differing = [
            name for name, value in asdict(architecture).items() if said.get(name, value) != value
        ]
    except (ValueError, AttributeError, RecursionError) as err:
        raise BundleError(
            f"{path}: metadata {_KEY} is no JSON object: copy the bundle again"
        ) from err
    if differing:
        name = differing[0]
        raise BundleError(
            f"manifest.json: architecture.{name}: got {getattr(architecture, name)!r}, where "
            f"{path} has {said[name]!r}: export the checkpoint again"
        )
