"""Keys and values in words: one number in each, or two halves."""

import numpy as np

from pegasus_runtime.sessions.ort.halves import as_words


def test_floats_stay_what_they_are_where_there_is_a_word_for_each() -> None:
    keys = np.ones((2, 3, 4), np.float32)
    assert as_words(keys, 4) is keys


def test_two_halves_make_a_word() -> None:
    keys = np.array([[1.0, -2.5, 65504.0, 1 / 3]], np.float32)
    words = as_words(keys, 2)
    assert (words.shape, words.dtype) == ((1, 2), np.float32)
    assert words.view(np.float16).tolist() == keys.astype(np.float16).tolist()
