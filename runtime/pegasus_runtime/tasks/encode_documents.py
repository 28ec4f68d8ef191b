"""Texts to token ids, where one that cannot be encoded is a failure among the others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias, TypeVar

from pegasus_runtime.errors import InputError
from pegasus_runtime.generation.failure import Errors, Failure, record_failure
from pegasus_runtime.tokenization.tokenizer import Encoding

__all__ = ["check_several", "encode_all", "encode_each"]

_Encoded = TypeVar("_Encoded")

Encode: TypeAlias = Callable[[str | Encoding], _Encoded]
"""Of a text, or of what was encoded before. Raises InputError."""


def check_several(name: str, given: object, *, expected: str = "a text or a list of texts") -> None:
    """Whether there is anything to go through; bytes would be numbers. Raises: InputError."""
    is_several = isinstance(given, Iterable) or hasattr(given, "__getitem__")
    if not is_several or isinstance(given, bytes | bytearray):
        raise InputError(f"{name} is {type(given).__name__}, expected {expected}")


def encode_all(
    encode: Encode[_Encoded], documents: str | Sequence[str], errors: Errors
) -> list[_Encoded | Failure]:
    """All documents, or one.

    Raises: InputError of the first failure, where errors are raised; of no documents always.
    """
    check_several("documents", documents)
    if isinstance(documents, str) and errors == "raise":
        return [encode(documents)]
    encodings: list[_Encoded | Failure] = []
    for encoding in encode_each(
        encode, [documents] if isinstance(documents, str) else documents, errors
    ):
        if isinstance(encoding, Failure) and errors == "raise":
            raise encoding.error
        encodings.append(encoding)
    return encodings


def encode_each(
    encode: Encode[_Encoded], documents: Iterable[str | Encoding], errors: Errors
) -> Iterator[_Encoded | Failure]:
    """One after another, when asked for.

    The error of a failure names the document where errors will be raised.
    """
    for number, each in enumerate(documents):
        try:
            encoding = encode(each)
        except InputError as err:
            named = InputError(f"document {number}: {err}") if errors == "raise" else err
            yield record_failure(number, named)
        except MemoryError:
            yield record_failure(
                number, InputError(f"document {number}: not enough memory to encode it: shorten it")
            )
        else:
            yield encoding
