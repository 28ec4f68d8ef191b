"""One line of a diagnosis."""

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was looked at.

    is_fine: None where nothing is to be judged. advice: what to do about it.
    """

    name: str
    value: str
    is_fine: bool | None = None
    advice: str = ""
