"""What nobody sees in a text, and no vocabulary has."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegasus_runtime.tokenization.control_characters import count_control_characters

_KEPT = set("\t\n\f\r")
_NEEDED = {0x200C, 0x200D, 0x180E, 0x070F, 0x06DD, 0x08E2, *range(0x600, 0x606), 0x890, 0x891}
_NEEDED |= {0x110BD, 0x110CD, *range(0x13430, 0x13440), *range(0x1BCA0, 0x1BCA4)}
_NEEDED |= set(range(0x1D173, 0x1D17B))
"""Format characters that scripts, shorthand and music are written with."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("two\tcolumns\r\nand a page\f", 0),
        ("caf\u00e9, \u201cquoted\u201d, a\u00a0space, \u4e2d\u6587\u3000\u2028", 0),
        ("NUL\0 and vertical tab\v", 2),
        ("\x1b[31mred\x1b[0m", 2),
        ("as read from cp1252: \x93so\x94", 2),
        ("co\u00adoperate", 1),
        ("zero\u200bwidth\ufeff", 2),
        ("\u202eesrever\u202c", 2),
        ("\u2067isolate\u2069 \u200e\u200f\u061c", 5),
        ("hidden\U000e0068\U000e0069", 2),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f \U0001f468\u200d\U0001f469", 0),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 0),
        ("\U0001f3f4" + "\U000e0061" * 7 + "\U000e007f", 8),  # no flag is so long
        ("\U0001f3f4x\U000e0061\U000e007f", 2),
        ("\ud800 a lone surrogate is another matter", 0),
    ],
)
def test_what_nobody_sees_is_counted(text: str, expected: int) -> None:
    assert count_control_characters(text) == expected


def test_they_are_what_unicode_calls_control_or_format_but_for_what_scripts_need() -> None:
    counted, others = [], []
    for character in map(chr, range(0x110000)):
        category = unicodedata.category(character)
        is_control = category == "Cc" and character not in _KEPT
        is_format = category == "Cf" and ord(character) not in _NEEDED
        (counted if is_control or is_format else others).append(character)
    assert count_control_characters("a".join(counted)) == len(counted) > 150
    assert count_control_characters("a".join(others)) == 0


_PARTS = st.lists(
    st.one_of(st.text(), st.sampled_from(["\0", "\u200b", "\U0001f3f4", "\U000e0061", "\u2066"]))
).map("".join)


@given(_PARTS, _PARTS)
def test_counts_of_two_texts_add_up(first: str, second: str) -> None:
    together = count_control_characters(f"{first}.{second}")
    assert together == count_control_characters(first) + count_control_characters(second)


@pytest.mark.parametrize("part", ["a\0", "\0", "\U0001f3f4\U000e0061", "\u202e\u4e2d", "\u4e2d"])
def test_megabytes_take_a_moment(part: str) -> None:
    text = part * (3_000_000 // len(part.encode()))
    begun = time.process_time()
    assert count_control_characters(text) in (0, len(text) // 2, len(text))
    assert time.process_time() - begun < 5
