"""Characters that a reader does not see and a tokenizer drops, mangles or cannot know."""

import re

__all__ = ["count_control_characters"]

_RUNS = re.compile(
    "["
    "\x00-\x08\x0b\x0e-\x1f\x7f-\x9f"  # of category Cc, but tab, newline, form feed, return
    "\xad"  # soft hyphen: it cuts a word in two
    "\u061c\u200b\u200e\u200f"  # marks of direction, zero-width space
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates of direction
    "\u2060-\u2064\u206a-\u206f"  # word joiner, invisible operators, deprecated ones
    "\ufeff\ufff9-\ufffb"  # byte-order mark, interlinear annotation
    "\U000e0001\U000e0020-\U000e007f"  # tags: a text inside the text
    "]+"
)
_FLAGS = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f")
"""England's and its like: tags that are seen."""
_PLAIN = bytes([*b"\t\n\f\r", *range(0x20, 0x7F)])
"""Of ASCII, what is no control: most of most texts, and left out ten times as fast as searched."""


def count_control_characters(text: str) -> int:
    r"""How many characters nobody sees and no model was trained to read.

    Those of Unicode's category Cc, but for tab, newline, form feed and carriage return; and of Cf
    those that steer layout or hide text. Not counted are those of Cf that scripts and emoji need:
    zero-width joiner and non-joiner, signs before Arabic numbers, the tags of a flag.

    >>> count_control_characters("two\tcolumns\r\n")
    0
    >>> count_control_characters("co\xadoperate\x1b[0m")
    2
    """
    rest = text.encode("utf-8", "surrogatepass").translate(None, _PLAIN)
    others = rest.decode("utf-8", "surrogatepass")
    if others.isprintable():
        return 0
    runs = _RUNS.findall(others)
    seen = sum(len(flag) - 1 for flag in _FLAGS.findall(text)) if "\U000e007f" in text else 0
    return sum(map(len, runs)) - seen
