"""Documents that cannot be encoded, among others that can."""

import pytest

from pegasus_runtime.errors import InputError
from pegasus_runtime.generation.failure import Failure
from pegasus_runtime.tasks.encode_documents import encode_each
from pegasus_runtime.tokenization.tokenizer import Encoding


def encode(text: str | Encoding) -> Encoding:
    if text == "huge":
        raise MemoryError
    return Encoding(token_ids=(5, 1), num_tokens_before=2, truncated=False, unknown_share=0.0)


def test_a_document_for_which_memory_is_short_does_not_lose_the_others() -> None:
    first, second, third = encode_each(encode, ["a", "huge", "b"], "return")
    assert isinstance(first, Encoding)
    assert isinstance(third, Encoding)
    assert isinstance(second, Failure)
    assert second.document == 1
    with pytest.raises(InputError, match=r"^document 1: not enough memory to encode it: shorten"):
        raise second.error
