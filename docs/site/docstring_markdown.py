"""Docstrings of this house as Markdown.

In the sources, arguments and fields are told in running text, `name: what it is`, and errors as
`Raises: NAME`. Here each gets a line of its own, the errors become links, and examples behind
`>>>` become code.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

__all__ = ["markdown_from_docstring"]

_PROMPT = re.compile(r"^(>>>|\.\.\.) ?")
_DOCTEST_COMMENT = re.compile(r" *# doctest:.*$")


def markdown_from_docstring(
    text: str, *, names: Collection[str] = (), errors: Collection[str] = ()
) -> str:
    """names: of arguments or fields, each of which may be told as `name: ...`. errors: that become
    links where they are raised."""
    blocks: list[str] = []
    for paragraph in re.split(r"\n{2,}", text.strip("\n")):
        lines = paragraph.split("\n")
        if _PROMPT.match(lines[0]):
            blocks.append(_code_from_example(lines))
        elif paragraph.startswith(("    ", "- ", "* ")):
            blocks.append(paragraph)
        else:
            blocks += _split_paragraph(paragraph, names, errors)
    return "\n\n".join(blocks)


def _code_from_example(lines: list[str]) -> str:
    bare = [_DOCTEST_COMMENT.sub("", _PROMPT.sub("", line)) for line in lines]
    outputs = [bool(_PROMPT.match(line)) for line in lines]
    shown = [line if typed else f"# {line}" for line, typed in zip(bare, outputs, strict=True)]
    return "\n".join(["```python", *shown, "```"])


def _split_paragraph(
    paragraph: str, names: Collection[str], errors: Collection[str]
) -> Iterator[str]:
    """A paragraph, and the names and errors that were told in it, a line each."""
    if not names and "Raises: " not in paragraph:
        yield paragraph
        return
    one = "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or r"(?!)"
    start = re.compile(rf"(?:^|(?<=[.;] )|(?<=\n))((?:{one})(?:, (?:{one}))*|Raises):\s")
    pieces = start.split(paragraph)
    if pieces[0].strip():
        yield pieces[0].strip()
    for label, content in zip(pieces[1::2], pieces[2::2], strict=True):
        told = " ".join(content.split()).rstrip(";")
        if label == "Raises":
            yield f"**Raises** {_link_errors(told, errors)}"
        else:
            yield f"- **{label.replace(', ', '**, **')}**: {told}"


def _link_errors(text: str, errors: Collection[str]) -> str:
    return re.sub(
        r"\b\w+\b", lambda m: f"[{m[0]}][pegasus_runtime.{m[0]}]" if m[0] in errors else m[0], text
    )
