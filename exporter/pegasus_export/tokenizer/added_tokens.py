"""The tokens that a folder puts beside its vocabulary, under the ids that transformers 5.23 gives.

It numbers them itself, on from the vocabulary's end, in this order: those of tokenizer.json, where
that file is taken as a whole; added_tokens_decoder of tokenizer_config.json, or else what older
files list; then the special tokens by name, and the extra ones.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from pegasus_export.errors import CheckpointError
from pegasus_export.tokenizer.files import TokenizerFiles
from pegasus_runtime.bundle import AddedToken

__all__ = ["NAMES", "find_added_tokens", "special_token"]

NAMES: Final = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "pegasus": {"pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask_2>"},
    "bert": {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"},
    "randeng": {
        "pad": "<pad>",
        "eos": "</s>",
        "unk": "<unk>",
        "sep": "[SEP]",
        "cls": "[CLS]",
        "mask": "<mask_2>",
    },
    "file": {},
}


def find_added_tokens(
    files: TokenizerFiles, vocabulary: Mapping[str, int], *, listed_only: bool = False
) -> list[AddedToken]:
    """All of them, in the order of their ids; those that the vocabulary has keep its ids.

    listed_only: without special tokens that only a name stands for.
    Raises: CheckpointError for a token that is none.
    """
    found: dict[str, AddedToken] = {}
    is_counted = files.is_vocab_alone or files.has_wordpiece_json  # equal tokens once
    following = len(vocabulary) if is_counted else max(vocabulary.values(), default=-1) + 1
    for token in _in_order(files, listed_only):
        known = found.get(token.content)
        token_id = known.token_id if known else vocabulary.get(token.content, following)
        following = max(following, token_id + 1)
        found[token.content] = replace(token, token_id=token_id)
    return sorted(found.values(), key=lambda token: token.token_id)


def special_token(files: TokenizerFiles, name: str) -> str | None:
    """Content of the token that the folder has as its `pad`, `eos` ...; None where it has none."""
    value = _special_value(files, name)
    return None if value is None else _read(value, files).content


def _special_value(files: TokenizerFiles, name: str) -> object:
    value = files.config.get(f"{name}_token", _DEFAULTS[files.reader or "file"].get(name))
    if "added_tokens_decoder" not in files.config:
        value = files.special_tokens_map.get(f"{name}_token", value)
    return value


def _in_order(files: TokenizerFiles, listed_only: bool) -> Iterator[AddedToken]:
    of_file = _sequence(files, "tokenizer.json", files.json.get("added_tokens") or [])
    if files.reader == "file":
        yield from (_read(value, files) for value in of_file)
    declared = _declared(files, of_file)
    seen = {token.content: token for _, token in sorted(declared.items(), key=lambda each: each[0])}
    yield from seen.values()
    if files.reader == "file":
        seen |= {token.content: token for token in (_read(value, files) for value in of_file)}
    for token in () if listed_only else _named(files):
        if token.content not in seen:
            seen[token.content] = token
            yield token


def _declared(files: TokenizerFiles, of_file: list[Any]) -> dict[int, AddedToken]:
    """What the folder lists, by the ids that it says."""
    decoder = files.config.get("added_tokens_decoder")
    if isinstance(decoder, Mapping):
        return {_integer(key, files): _read(value, files) for key, value in decoder.items()}
    specials = {token.content for token in _named(files)}
    found = {
        _integer(token_id, files): AddedToken(
            content=content,
            token_id=0,
            special=content in specials,
            normalized=content not in specials,
        )
        for content, token_id in files.added_tokens.items()
    }
    return found | {_integer(each.get("id"), files): _read(each, files) for each in of_file}


def _named(files: TokenizerFiles) -> Iterator[AddedToken]:
    """Special tokens by name, then those that are extra."""
    named = [value for name in NAMES if (value := _special_value(files, name)) is not None]
    config = files.config
    extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
    own = [
        value
        for key, value in config.items()
        if key.endswith("_token") and key[: -len("_token")] not in NAMES and _is_token(value)
    ]
    more: Any = []
    if "added_tokens_decoder" not in config:
        name = "extra_special_tokens"
        if not extra and files.reader != "pegasus":  # whose own list takes the place of this one
            name = "additional_special_tokens"
        more = files.special_tokens_map.get(name) or []
    if isinstance(more, Mapping):  # named ones of the model
        own, more = [*own, *more.values()], []
    extra = extra.values() if isinstance(extra, Mapping) else extra
    for value in itertools.chain(named, own, extra, more):
        yield _read(value, files, special=True)


def _is_token(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, Mapping) and "content" in value)


def _read(value: object, files: TokenizerFiles, *, special: bool = False) -> AddedToken:
    fields = value if isinstance(value, Mapping) else {"content": value}
    content = fields.get("content")
    if not isinstance(content, str):
        raise CheckpointError(
            f"{files.folder}: a token of the tokenizer is {value!r}, expected text: take its files "
            "from the model that the checkpoint was trained from"
        )
    special = special or bool(fields.get("special", False))
    return AddedToken(
        content=content,
        token_id=0,
        special=special,
        normalized=bool(fields.get("normalized", not special)),
        lstrip=bool(fields.get("lstrip", False)),
        rstrip=bool(fields.get("rstrip", False)),
        single_word=bool(fields.get("single_word", False)),
    )


def _integer(value: object, files: TokenizerFiles) -> int:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError) as err:
        raise CheckpointError(
            f"{files.folder}: an added token has the id {value!r}, expected a number: take the "
            "tokenizer's files from the model that the checkpoint was trained from"
        ) from err


def _sequence(files: TokenizerFiles, name: str, value: object) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise CheckpointError(
            f"{files.folder / name}: its added_tokens are no list of tokens: download it again"
        )
    return value
