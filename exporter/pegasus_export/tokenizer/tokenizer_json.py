"""A tokenizer.json for a folder that has none, for hosts that read nothing else.

It holds what transformers 5.23's own tokenizer of the folder would be saved as.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.tokenizer.added_tokens import NAMES, find_added_tokens, special_token
from pegasus_export.tokenizer.files import TokenizerFiles, read_tokenizer_files, read_vocabulary
from pegasus_export.tokenizer.model_proto import CONTROL, UNKNOWN, Piece, read_model
from pegasus_export.tokenizer.sentencepiece import MaskIds, mask_ids, spec_of_spiece
from pegasus_export.tokenizer.wordpiece import vocabulary_of_wordpiece
from pegasus_runtime.bundle import AddedToken

__all__ = ["MadeTokenizer", "make_tokenizer_json"]

_SPACES: Final = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeTokenizer:
    """Content of the file, and the class that AutoTokenizer has to be told, if any."""

    content: bytes
    class_name: str | None = None
    notes: tuple[str, ...] = ()


def make_tokenizer_json(checkpoint: Checkpoint) -> MadeTokenizer | None:
    """None where there is one, and for classes with rules of their own. Raises: CheckpointError."""
    files = read_tokenizer_files(checkpoint)
    if files.json:
        return None
    if files.is_vocab_alone:
        return _of_vocab(files, checkpoint)
    if files.spiece is not None and files.reader in ("pegasus", "file"):
        return _of_spiece(files)
    return None


def _of_spiece(files: TokenizerFiles) -> MadeTokenizer:
    assert files.spiece is not None
    pieces, charsmap = read_model(read_vocabulary(files.spiece))
    spec = spec_of_spiece(files, [piece.text for piece in pieces])
    masks = mask_ids(files) if spec.offset else MaskIds(names=())
    vocabulary = _numbered(files, pieces, masks.names, spec.offset)
    ids = {token: number for number, (token, _) in enumerate(vocabulary)}
    added = find_added_tokens(files, ids, listed_only=not files.is_of_pegasus)
    if files.is_of_pegasus:
        own = _unnamed(files, spec.offset)
    else:  # what no text may spell, as the bundle's own tokenizer has it
        own = [
            piece.text
            for number, piece in enumerate(pieces)
            if number < spec.special_below or piece.kind in (CONTROL, UNKNOWN)
        ]
    eos = special_token(files, "eos") or "</s>"
    content = _frame(
        files,
        added=_with(added, own, ids),
        normalizer=_normalizer(charsmap),
        pre_tokenizer={**_SPACES, "split": True},
        post_processor=_template(["$A", eos], ["$A", "$B", eos], ids | _ids(added)),
        decoder={**_SPACES, "split": True},
        model={
            "type": "Unigram",
            "unk_id": _unknown(files, vocabulary, spec.unk_token_id),
            "vocab": vocabulary,
            "byte_fallback": False,
        },
    )
    return MadeTokenizer(content=content, notes=() if masks.note is None else (masks.note,))


def _numbered(
    files: TokenizerFiles, pieces: Sequence[Piece], masks: Sequence[str], offset: int
) -> list[tuple[str, float]]:
    """Tokens and scores by their ids, as PegasusConverter puts them."""
    first = [special_token(files, "pad") or "<pad>", special_token(files, "eos") or "</s>", *masks]
    found = [(token, 0.0) for token in first]
    unknowns = range(2, 2 + offset - len(masks))
    found += [(f"<unk_{number}>", -100.0) for number in unknowns]
    return found + [(piece.text, piece.score) for piece in pieces[2:]]


def _unnamed(files: TokenizerFiles, offset: int) -> list[str]:
    """PegasusTokenizer's own extra tokens, which any that the folder lists take the place of."""
    config = files.config
    extra = config.get("extra_special_tokens")
    is_listed = "extra_special_tokens" in config and not isinstance(extra, Mapping)
    is_listed |= not extra and "additional_special_tokens" in config
    if "added_tokens_decoder" not in config:
        is_listed |= isinstance(files.special_tokens_map.get("extra_special_tokens"), list)
    if is_listed:
        return []
    sent = config.get("mask_token_sent", "<mask_1>")
    told = config.get("offset", 103)
    return [*([] if sent is None else [sent]), *(f"<unk_{number}>" for number in range(2, told))]


def _unknown(files: TokenizerFiles, vocabulary: list[tuple[str, float]], otherwise: int) -> int:
    name = special_token(files, "unk")
    found = (number for number, each in enumerate(vocabulary) if number and each == (name, 0.0))
    return next(found, otherwise) if files.reader == "pegasus" else otherwise


def _normalizer(charsmap: bytes) -> dict[str, Any]:
    first: dict[str, Any] = {"type": "Replace", "pattern": {"Regex": r"\n"}, "content": " "}
    if charsmap:
        text = base64.b64encode(charsmap).decode()
        first = {"type": "Precompiled", "precompiled_charsmap": text}
    collapse = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    return {"type": "Sequence", "normalizers": [first, collapse]}


def _of_vocab(files: TokenizerFiles, checkpoint: Checkpoint) -> MadeTokenizer | None:
    vocabulary = vocabulary_of_wordpiece(files)
    is_named = files.class_name == "BertTokenizer"
    if not is_named and vocabulary.get("[SEP]") not in checkpoint.config.eos_token_ids:
        return None  # of code of its own
    added = find_added_tokens(files, vocabulary)
    ids = vocabulary | _ids(added)
    config = files.config
    cls, sep = special_token(files, "cls"), special_token(files, "sep")
    if cls not in ids or sep not in ids:
        return None
    single = [cls, "$A", sep]
    content = _frame(
        files,
        added=added,
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": bool(config.get("tokenize_chinese_chars", True)),
            "strip_accents": config.get("strip_accents"),
            "lowercase": bool(config.get("do_lower_case", True)),
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor=_template(single, [*single, "$B", sep], ids, types=True),
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        model={
            "type": "WordPiece",
            "unk_token": special_token(files, "unk"),
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    )
    return MadeTokenizer(content=content, class_name=None if is_named else "BertTokenizer")


def _frame(files: TokenizerFiles, *, added: Sequence[AddedToken], **parts: Any) -> bytes:
    named = {special_token(files, name) for name in NAMES}
    tokens = []
    for token in sorted(added, key=lambda each: each.token_id):
        fields = asdict(token)
        token_id = fields.pop("token_id")
        tokens.append(
            {"id": token_id, **fields, "special": token.special or token.content in named}
        )
    frame = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens}
    return json.dumps(frame | parts, ensure_ascii=False).encode()


def _with(
    added: Sequence[AddedToken], own: Sequence[str], ids: Mapping[str, int]
) -> list[AddedToken]:
    """Special tokens more, which come after the others where the vocabulary has none of them."""
    found = {token.content: token for token in added}
    following = max([*ids.values(), *_ids(added).values()], default=-1) + 1
    for name in own:
        if name not in found:
            token_id = ids.get(name, following)
            following = max(following, token_id + 1)
            found[name] = AddedToken(content=name, token_id=token_id, special=True)
    return list(found.values())


def _ids(added: Sequence[AddedToken]) -> dict[str, int]:
    return {token.content: token.token_id for token in added}


def _template(
    single: Sequence[str], pair: Sequence[str], ids: Mapping[str, int], *, types: bool = False
) -> dict[str, Any]:
    def steps(names: Sequence[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        second = len(names)
        if types and "$B" in names:
            second = names.index("$B")
        for place, name in enumerate(names):
            kind = "Sequence" if name in ("$A", "$B") else "SpecialToken"
            found.append({kind: {"id": name.lstrip("$"), "type_id": int(place >= second)}})
        return found

    names = [name for name in dict.fromkeys(single) if name not in ("$A", "$B")]
    tokens = {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in sorted(names)}
    return {
        "type": "TemplateProcessing",
        "single": steps(single),
        "pair": steps(pair),
        "special_tokens": tokens,
    }
