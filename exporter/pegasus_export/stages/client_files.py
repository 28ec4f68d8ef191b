"""What is written into a bundle for other people's clients, once its graphs are there."""

import dataclasses
import json

from pegasus_export.clients.card import CARD, model_card
from pegasus_export.clients.contract import write_contract
from pegasus_export.clients.vectors import make_vectors
from pegasus_export.generation.compose import GENERATE
from pegasus_export.stages.text_graph import TEXT_GRAPH
from pegasus_runtime.bundle import BundleWriter, Manifest

__all__ = ["write_client_files"]

FOR_HOSTS = (GENERATE, TEXT_GRAPH)


def write_client_files(staging: BundleWriter, manifest: Manifest) -> None:
    """contract.md, README.md, and test_vectors.json where the tokenizer is known.

    Raises: EngineError if a graph does not run; OSError.
    """
    bundle = staging.preview(manifest)
    vectors = make_vectors(bundle)
    texts = {"contract.md": write_contract(_for_hosts(bundle.manifest), vectors)}
    if vectors is not None:
        content = json.dumps(vectors.as_json(), indent=1, ensure_ascii=False)
        texts["test_vectors.json"] = content + "\n"
    texts[CARD] = model_card(bundle.manifest, staging.output.name)
    for name, text in texts.items():
        (staging.path / name).write_text(text, encoding="utf-8", newline="\n")


def _for_hosts(manifest: Manifest) -> Manifest:
    """Without the graphs that pegasus_runtime alone calls."""
    if manifest.target != "ort":
        return manifest
    graphs = {name: each for name, each in manifest.graphs.items() if name in FOR_HOSTS}
    return dataclasses.replace(manifest, graphs=graphs)
