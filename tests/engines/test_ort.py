"""One graph of a bundle through a plain session."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pegasus_engines.ort import run_graph
from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.errors import EngineError


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[[str, str], Path]) -> Bundle:
    return open_bundle(tiny_bundle("PegasusForConditionalGeneration", "ort"))


def test_outputs_come_by_name_and_in_order(bundle: Bundle) -> None:
    ids = np.array([[5, 6, 1]])
    got = run_graph(bundle, "encoder", {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert list(got) == [x.name for x in bundle.manifest.graphs["encoder"].outputs]
    assert got["cross_key.0"].shape == (1, 2, 3, 16)


@pytest.mark.parametrize("names", [("input_ids",), ("input_ids", "attention_mask", "position")])
def test_missing_and_unknown_inputs_are_refused(bundle: Bundle, names: tuple[str, ...]) -> None:
    feeds = dict.fromkeys(names, np.array([[5, 6, 1]]))
    with pytest.raises(EngineError, match=r"encoder\.onnx: ONNX Runtime cannot run it: "):
        run_graph(bundle, "encoder", feeds)
