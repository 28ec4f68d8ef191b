"""A text as somebody gave it: whether it is one, and what UTF-8 cannot hold of it."""

from pegasus_runtime.errors import InputError

__all__ = ["check_text", "without_lone_surrogates"]


def check_text(text: object) -> None:
    """Raises: InputError if it is no str."""
    if not isinstance(text, str):
        raise InputError(f"text is {type(text).__name__}, expected str: decode it first")


def without_lone_surrogates(text: str) -> str:
    """Replace surrogates that are no pair, which UTF-8 cannot hold, by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
