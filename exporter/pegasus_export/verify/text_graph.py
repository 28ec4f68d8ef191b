"""A graph with text around it against the graph inside and the bundle's tokenizer."""

import importlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from pegasus_engines.ort import open_file
from pegasus_export.errors import VerificationError
from pegasus_export.generation.inputs import SCALARS
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["verify_text_graph"]

_TEXTS: Final = ("The old miller sold a red boat in March. \n", " Cafe\u0301 </s> ½ of \uff21 ")
_SETTINGS: Final = {
    "num_beams": 1,
    "max_length": 8,
    "min_length": 0,
    "length_penalty": 1.0,
    "early_stopping": 0,
    "no_repeat_ngram_size": 0,
    "repetition_penalty": 1.0,
    "num_return_sequences": 1,
}


def verify_text_graph(
    path: Path, inner: Path, tokenizer: Tokenizer, *, max_source_tokens: int, max_length: int
) -> bool:
    """Whether it could be run: where onnxruntime-extensions is installed.

    inner: the graph of tokens. Raises: VerificationError where ids or texts are others.
    """
    try:
        extensions: Any = importlib.import_module("onnxruntime_extensions")
    except ImportError:
        return False
    settings = _SETTINGS | {"max_length": min(_SETTINGS["max_length"], max_length)}
    scalars = {name: np.array(value, SCALARS[name].numpy()) for name, value in settings.items()}
    run = open_file(path, operators=extensions.get_library_path())
    got = run({"text": np.array(_TEXTS, dtype=object), **scalars})
    encoded = [
        tokenizer.encode(text, max_tokens=max_source_tokens, truncate=True) for text in _TEXTS
    ]
    longest = max(len(each.token_ids) for each in encoded)
    ids = np.full((len(encoded), longest), tokenizer.pad_token_id, np.int64)
    mask = np.zeros_like(ids)
    for row, each in enumerate(encoded):
        ids[row, : len(each.token_ids)], mask[row, : len(each.token_ids)] = each.token_ids, 1
    expected = open_file(inner)({"input_ids": ids, "attention_mask": mask, **scalars})
    expected["truncated"] = np.array([each.truncated for each in encoded])
    expected["num_tokens"] = np.array([each.num_tokens_before for each in encoded])
    rows = expected["sequences"][:, 0].tolist()
    expected["texts"] = np.array([[tokenizer.decode(row)] for row in rows], dtype=object)
    del expected["scores"]  # of the tokens
    for name, value in expected.items():
        if not np.array_equal(got[name], value):
            raise VerificationError(
                f"{path.name}: gives {got[name].tolist()} as {name}, expected {value.tolist()}: "
                "report this with the checkpoint's config.json"
            )
    return True
