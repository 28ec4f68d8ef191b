"""jieba's dictionary as a file of the bundle, whose runtime cuts text without jieba."""

import importlib.util
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from pegasus_export.errors import UnsupportedError

__all__ = ["dictionary_of_jieba", "write_dictionary"]


def dictionary_of_jieba(folder: Path) -> tuple[bytes, str]:
    """The dictionary that jieba brings, and jieba's version; nothing of jieba is run.

    folder: of the checkpoint that needs it. Raises: UnsupportedError if it is not installed.
    """
    found = importlib.util.find_spec("jieba")
    if found is None or not found.submodule_search_locations:
        raise UnsupportedError(
            f"{folder} cuts its text with the dictionary of jieba, which is not installed: "
            "pip install 'pegasus-edge[chinese]'"
        )
    path = Path(found.submodule_search_locations[0]) / "dict.txt"
    entries = (line.split(" ") for line in path.read_text(encoding="utf-8").strip().split("\n"))
    words = [(word, int(frequency)) for word, frequency, *_ in entries]
    return write_dictionary(words), version("jieba")


def write_dictionary(words: Iterable[tuple[str, int]]) -> bytes:
    """In the form that `WordCutter` reads; the last of equal words counts, all count in the sum."""
    total = 0
    found: dict[str, int] = {}
    for word, frequency in words:
        total += frequency
        found[word] = frequency
    lines: defaultdict[str, str] = defaultdict(str)
    for word in sorted(found):  # so that a word comes before those that it begins
        lines[word[0]] += f"\t{word[1:]} {found[word]}"
    return "".join([f"{total}\n", *(f"{char}{line}\n" for char, line in lines.items())]).encode()
