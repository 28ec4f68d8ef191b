"""Target `onnx` under the runtime's search, beside target `ort`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pegasus_export.verify.onnx_engine import OnnxEngine
from pegasus_runtime import GenerationOptions
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.sessions.ort.engine import OrtEngine

SOURCES = [[120, 131, 140, 115, 1], [110, 111, 112, 113, 114, 125, 160, 1], [150, 1]]


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 1, "max_length": 12},
        {"num_beams": 4, "max_length": 16, "length_penalty": 0.6, "num_return_sequences": 2},
        {"num_beams": 3, "max_length": 14, "no_repeat_ngram_size": 2},
    ],
)
def test_hypotheses_and_scores_are_those_of_the_runtimes_engine(
    options: Mapping[str, Any], tiny_bundle: Callable[..., Path]
) -> None:
    ours, others = (open_bundle(tiny_bundle(target=target)) for target in ("ort", "onnx"))
    settings = resolve_for_manifest(GenerationOptions(**options), ours.manifest)
    expected = generate(OrtEngine(ours), SOURCES, settings)
    found = generate(OnnxEngine(others), SOURCES, settings)
    for one, other in zip(expected, found, strict=True):
        assert [each.token_ids for each in one] == [each.token_ids for each in other]
        np.testing.assert_allclose(
            [each.score for each in one], [each.score for each in other], atol=1e-4
        )
