"""Keys and values in words: one number in each, or two halves."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import onnxruntime
import pytest

from pegasus_runtime.sessions.ort import halves
from pegasus_runtime.sessions.ort.halves import KERNELS_WORDS, SOURCE, as_words, head_words


def test_floats_stay_what_they_are_where_there_is_a_word_for_each() -> None:
    keys = np.ones((2, 3, 4), np.float32)
    assert as_words(keys, 4) is keys


def test_two_halves_make_a_word() -> None:
    keys = np.array([[1.0, -2.5, 65504.0, 1 / 3]], np.float32)
    words = as_words(keys, 2)
    assert (words.shape, words.dtype) == ((1, 2), np.float32)
    assert words.view(np.float16).tolist() == keys.astype(np.float16).tolist()


@pytest.mark.parametrize(
    ("size", "words"), [(KERNELS_WORDS, 4), ("head_words", 8), ("head_words_4", 8), (8, 8)]
)
def test_only_graphs_of_the_kernels_version_are_given_halves(
    size: str | int, words: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halves, "find_kernels", lambda: SimpleNamespace(operators=SOURCE))
    output = SimpleNamespace(name="cross_key.0", shape=["batch", 2, "source", size])
    session = SimpleNamespace(get_outputs=lambda: [output])
    opened = cast("onnxruntime.InferenceSession", session)
    assert head_words(opened, "cross_key.0", 8, SOURCE) == words
