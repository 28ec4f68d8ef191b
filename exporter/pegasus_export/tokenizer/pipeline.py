"""What tokenizer.json does to a text before and after its model, as far as bundles can do the same.

Read where transformers 5.23 takes the file as a whole; PegasusTokenizer has rules of its own, which
are `PEGASUS`'s. What they cannot do is refused by the name that the file has for it.
"""

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast, get_args

from pegasus_export.errors import UnsupportedError
from pegasus_export.tokenizer.json_normalizer import is_own_step
from pegasus_runtime.bundle import Prepend

__all__ = [
    "NEWLINE_IS_SPACE",
    "PEGASUS",
    "Pipeline",
    "find_charsmap",
    "read_pipeline",
    "read_template",
]


def _newline_charsmap() -> bytes:
    """SentencePiece's form of the one rule: a double-array trie of 256 units, and the spellings."""
    units = [number ^ 1 for number in range(256)]  # labels that no byte finds
    units[0] = 11 << 10  # the root's children are at 11 ^ byte
    units[11 ^ 10] = 3 << 10 | 1 << 8 | 10  # newline: a leaf, at 1 ^ 3
    units[1 ^ 3] = 1 << 31  # the spelling at 0
    return struct.pack("<I256I", 1024, *units) + b" \0"


NEWLINE_IS_SPACE: Final = _newline_charsmap()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """How text becomes pieces.

    charsmap: SentencePiece's. splits: no piece goes over a space. trims: whitespace at the end of a
    part counts for nothing, in_words: at any place. template: token names around a text, None for
    the text itself.
    """

    charsmap: bytes = b""
    prepend: Prepend = "always"
    splits: bool = True
    trims: bool = False
    in_words: bool = False
    template: tuple[str | None, ...] = (None,)


PEGASUS: Final = Pipeline(charsmap=NEWLINE_IS_SPACE)


def find_charsmap(content: Mapping[str, Any]) -> bytes | None:
    """The first precompiled map of a tokenizer.json; None where it has none."""
    for step in _steps(content.get("normalizer"), "normalizers"):
        if step.get("type") == "Precompiled":
            return _charsmap(step)
    return None


def read_pipeline(content: Mapping[str, Any]) -> Pipeline:
    """Of a tokenizer.json that is taken as a whole. Raises: UnsupportedError."""
    pipeline = Pipeline()
    collapses = False
    for step in _steps(content.get("normalizer"), "normalizers"):
        if is_own_step(step):
            continue
        kind = step.get("type")
        if kind == "Precompiled" and not pipeline.charsmap and not collapses:
            pipeline = replace(pipeline, charsmap=_charsmap(step))
        elif kind == "Strip" and step.get("strip_right") and not step.get("strip_left"):
            pipeline = replace(pipeline, trims=True)
        elif _replacement(step) in ((" {2,}", " "), (" {2,}", "▁")):
            collapses = True
        elif _replacement(step) in (("\n", " "), (r"\n", " ")) and not pipeline.charsmap:
            pipeline = replace(pipeline, charsmap=NEWLINE_IS_SPACE)
        else:
            raise _refuse("normalizer", step)
    pipeline = _pre_tokenized(pipeline, content)
    if not collapses and not pipeline.in_words:
        raise _refuse("normalizer", {"type": "one that keeps several spaces"})
    return replace(pipeline, template=read_template(content.get("post_processor")))


def _pre_tokenized(pipeline: Pipeline, content: Mapping[str, Any]) -> Pipeline:
    has_spaces = False
    steps = list(_steps(content.get("pre_tokenizer"), "pretokenizers"))
    for step in steps:
        if step.get("type") == "WhitespaceSplit":
            pipeline = replace(pipeline, trims=True, in_words=True)
        elif step.get("type") == "Metaspace" and step.get("replacement") == "▁":
            has_spaces = True
            splits = bool(step.get("split", True))
            pipeline = replace(pipeline, prepend=_prepend(step), splits=splits)
        else:
            raise _refuse("pre_tokenizer", step)
    if not has_spaces:
        raise _refuse("pre_tokenizer", {"type": "none, where Metaspace is expected"})
    if len(steps) > 1 and pipeline.prepend != "always":
        raise _refuse("pre_tokenizer", {"type": f"WhitespaceSplit with {pipeline.prepend!r}"})
    return pipeline


def _prepend(step: Mapping[str, Any]) -> Prepend:
    """Of a Metaspace: files before 2024 have add_prefix_space alone."""
    scheme = step.get("prepend_scheme")
    if scheme is None:
        return "always" if step.get("add_prefix_space", True) else "never"
    for prepend in get_args(Prepend):
        if prepend == scheme:
            return cast(Prepend, prepend)
    raise _refuse("pre_tokenizer", {"type": f"Metaspace with prepend_scheme {scheme}"})


def read_template(step: Mapping[str, Any] | None) -> tuple[str | None, ...]:
    """Names of the tokens around a text, and None for it. Raises: UnsupportedError."""
    if step is None:
        return (None,)
    if step.get("type") == "BertProcessing":
        return (step["cls"][0], None, step["sep"][0])
    if step.get("type") != "TemplateProcessing":
        raise _refuse("post_processor", step)
    specials = step.get("special_tokens", {})
    found: list[str | None] = []
    for each in step.get("single", []):
        if "Sequence" in each:
            found.append(None)
        else:
            found += specials[each["SpecialToken"]["id"]]["tokens"]
    if found.count(None) != 1:
        raise _refuse("post_processor", {"type": "TemplateProcessing without one text"})
    return tuple(found)


def _steps(step: Mapping[str, Any] | None, name: str) -> Iterator[Mapping[str, Any]]:
    """A normaliser or pre-tokeniser, or those of a sequence."""
    if step is None:
        return
    if step.get("type") == "Sequence":
        inner: Sequence[Mapping[str, Any]] = step.get(name, [])
        for each in inner:
            yield from _steps(each, name)
    else:
        yield step


def _replacement(step: Mapping[str, Any]) -> tuple[str, str] | None:
    if step.get("type") != "Replace":
        return None
    pattern = step.get("pattern", {})
    return pattern.get("Regex", pattern.get("String", "")), step.get("content", "")


def _charsmap(step: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(step["precompiled_charsmap"] or "", validate=True)
    except (KeyError, TypeError, binascii.Error) as err:
        raise _refuse("normalizer", {"type": "Precompiled that is not base64"}) from err


def _refuse(place: str, step: Mapping[str, Any]) -> UnsupportedError:
    what = step.get("type")
    if what == "Replace":
        what = f"Replace of {_replacement(step)}"
    return UnsupportedError(
        f"tokenizer.json has the {place} {what}, which bundles cannot do: export with --target "
        "onnx, whose users bring their own tokenizer"
    )
