"""generate.onnx as what is held against transformers."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from pegasus_engines.ort import open_graph
from pegasus_export.generation.fixed import INPUT_OPTIONS
from pegasus_runtime import GenerationOptions, Hypothesis
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.search.settings import SearchSettings
from runtime.search.oracle import random_options

__all__ = ["WholeGraph", "fixed_options", "options_of_graph"]

_FIXED = (
    "forced_bos_token_id",
    "forced_eos_token_id",
    "suppress_tokens",
    "begin_suppress_tokens",
    "bad_words_ids",
)
_VOCABULARY = 100  # of tokens that are in every random checkpoint's
_EARLY_STOPPING = {False: 0, True: 1, "never": 2}


def fixed_options(rng: np.random.Generator, vocab_size: int = _VOCABULARY) -> dict[str, Any]:
    """Settings of a checkpoint that are constants of its graph."""
    drawn = random_options(rng, vocab_size)
    settings = {name: getattr(drawn, name) for name in _FIXED}
    words = settings["bad_words_ids"]
    settings["bad_words_ids"] = words and ([word for word in words if len(word) == 1] or None)
    if settings["forced_bos_token_id"] in (settings["begin_suppress_tokens"] or ()):
        del settings["begin_suppress_tokens"]
    return {name: value for name, value in settings.items() if value is not None}


def options_of_graph(options: GenerationOptions | None) -> GenerationOptions | None:
    """Those alone that are inputs of the graph."""
    if options is None:
        return None
    others = {each.name for each in fields(options)} - set(INPUT_OPTIONS)
    return replace(options, **dict.fromkeys(others))


class WholeGraph:
    """Called as a `Summarizer` is."""

    def __init__(self, folder: Path) -> None:
        self.bundle = open_bundle(folder)
        self.run = open_graph(self.bundle, "generate")
        self.is_sparse = self.bundle.manifest.architecture.attention_type == "block_sparse"

    def resolve(self, options: GenerationOptions | None) -> SearchSettings:
        """See `Summarizer.resolve`."""
        return resolve_for_manifest(options or GenerationOptions(), self.bundle.manifest)

    def generate(
        self, sources: list[list[int]], options: GenerationOptions | None = None
    ) -> list[list[Hypothesis]]:
        """See `Summarizer.generate`; fewer hypotheses where there are none."""
        settings = self.resolve(options)
        found = self.run({**_padded(sources), **_scalars(settings)})
        return [
            [
                Hypothesis(token_ids=tuple(row[:length].tolist()), score=float(score))
                for row, length, score in zip(*document, strict=True)
                if length
            ]
            for document in zip(found["sequences"], found["lengths"], found["scores"], strict=True)
        ]


def _padded(sources: list[list[int]]) -> dict[str, Any]:
    length = max(map(len, sources))
    ids = np.zeros((len(sources), length), np.int64)
    mask = np.zeros_like(ids)
    for row, source in enumerate(sources):
        ids[row, : len(source)] = source
        mask[row, : len(source)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _scalars(settings: SearchSettings) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in INPUT_OPTIONS}
    values["early_stopping"] = _EARLY_STOPPING[settings.early_stopping]
    return {
        name: np.array(value, np.float32 if name.endswith("penalty") else np.int64)
        for name, value in values.items()
    }
