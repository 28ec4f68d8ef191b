"""A tokenizer.json with the ids of a bundle's own tokenizer, for hosts that read nothing else.

Special tokens of the model are added tokens there, as every loader expects: a text that spells them
has their ids, as for `Tokenizer.load(..., parse_special_tokens=True)`. The file cannot say
otherwise; its reader can (`encode_special_tokens` of tokenizers, `split_special_tokens` of
transformers), and then gets what the bundle's tokenizer gives for all but `<unk>`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any, Final

from pegasus_export.errors import UnsupportedError
from pegasus_export.tokenizer.files import TokenizerFiles
from pegasus_export.tokenizer.json_normalizer import normalizer_steps, pre_tokenizer, stand_ins
from pegasus_export.tokenizer.model_proto import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Piece,
    is_unigram,
    read_model,
)
from pegasus_export.tokenizer.plan import PlannedTokenizer
from pegasus_export.tokenizer.sentencepiece import mask_note, names_of_spiece
from pegasus_export.tokenizer.unigram import unigram_vocabulary
from pegasus_export.tokenizer.wordpiece import vocabulary_of_wordpiece
from pegasus_runtime.bundle import AddedToken, TokenizerSpec, WordPieceSpec

__all__ = ["MadeTokenizer", "make_tokenizer_json"]

_NEVER: Final = -1000.0  # a score below that of any spelling by other pieces
_SPACES: Final = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeTokenizer:
    """Content of the file, the class that reads it as a whole, and special tokens by their names.

    class_name: as transformers' AutoTokenizer and transformers.js know it. names: of all tokens.
    """

    content: bytes
    class_name: str
    special_tokens: Mapping[str, str]
    names: frozenset[str]
    notes: tuple[str, ...] = ()


def make_tokenizer_json(files: TokenizerFiles, planned: PlannedTokenizer) -> MadeTokenizer:
    """Of the checkpoint's files and what the bundle makes of them.

    Raises: UnsupportedError where no such file has the ids of the bundle's tokenizer.
    """
    if planned.spec.kind == "sentencepiece":
        return _of_sentencepiece(files, planned)
    if planned.spec.kind == "wordpiece":
        return _of_wordpiece(files, planned)
    raise UnsupportedError(
        "Randeng-Pegasus's tokenizer cuts words by a dictionary, which no tokenizer.json does"
    )


def _of_sentencepiece(files: TokenizerFiles, planned: PlannedTokenizer) -> MadeTokenizer:
    spec = planned.spec
    pieces, charsmap = read_model(planned.content)
    if not is_unigram(planned.content) or any(piece.kind == BYTE for piece in pieces):
        raise UnsupportedError(
            f"{planned.source.name} is no Unigram model without bytes, the one that a "
            "tokenizer.json of ours says"
        )
    note = None
    if files.json:
        names = [name for name, _ in unigram_vocabulary(files)]
    else:
        names = names_of_spiece(files, spec, [piece.text for piece in pieces])
        note = mask_note(files) if spec.offset else None
    by_id = [*pieces[:2], *[Piece("", 0.0, CONTROL)] * spec.offset, *pieces[2:]]
    own = {
        names[number]: number
        for number, piece in enumerate(by_id)
        if number < spec.special_below or piece.kind in (CONTROL, UNKNOWN)
    }
    stood_in = _stood_in(spec)
    _check_apart(stood_in, own, names)
    alphabet = {
        char for piece in pieces if piece.kind in (NORMAL, USER_DEFINED) for char in piece.text
    }
    reading = _reading(planned, charsmap, stood_in, alphabet)
    content = _dump(
        tokens=[*_special(own), *_added(spec, stood_in)],
        **reading,
        post_processor=_template(spec, names),
        model={
            "type": "Unigram",
            "unk_id": spec.unk_token_id,
            "vocab": [*zip(names, _scores(by_id, spec), strict=True)],
            "byte_fallback": False,
        },
    )
    return MadeTokenizer(
        content=content,
        class_name="PreTrainedTokenizerFast",
        special_tokens={
            "pad_token": names[spec.pad_token_id],
            "eos_token": names[spec.eos_token_id],
            "unk_token": names[spec.unk_token_id],
        },
        names=frozenset(names) | {token.content for token in spec.added_tokens},
        notes=() if note is None else (note,),
    )


def _reads_raw(spec: TokenizerSpec) -> bool:
    """Whether texts are SentencePiece's own from end to end."""
    return not spec.added_tokens and spec.prepend == "always"


def _stood_in(spec: TokenizerSpec) -> list[AddedToken]:
    """Tokens before which a space counts, but at the end of a text does not."""
    if _reads_raw(spec) or spec.trims:
        return []
    return [token for token in spec.added_tokens if not token.normalized]


def _added(spec: TokenizerSpec, stood_in: Sequence[AddedToken]) -> list[AddedToken]:
    """What takes space along or stands alone is said where the token is put in."""
    return [
        AddedToken(
            content=token.content, token_id=token.token_id, special=token.special, normalized=True
        )
        if token in stood_in
        else token
        for token in spec.added_tokens
    ]


def _reading(
    planned: PlannedTokenizer,
    charsmap: bytes,
    stood_in: Sequence[AddedToken],
    alphabet: Set[str],
) -> dict[str, Any]:
    """Before the model and after it. A special token that is stood in for never shows."""
    spec = planned.spec
    steps = normalizer_steps(
        planned.content,
        charsmap,
        stood_in,
        alphabet=alphabet,
        trims=spec.trims and not _reads_raw(spec),
    )
    shown = [
        {
            "type": "Replace",
            "pattern": {"String": char},
            "content": "" if token.special else token.content,
        }
        for char, token in stand_ins(stood_in)
    ]
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": pre_tokenizer(spec.prepend),
        "decoder": {"type": "Sequence", "decoders": [*shown, _SPACES]} if shown else _SPACES,
    }


def _scores(by_id: Sequence[Piece], spec: TokenizerSpec) -> list[float]:
    """Of each id, as SentencePiece weighs it.

    What the vocabulary lacks costs ten more than the worst piece: where a character comes in pieces
    and is none itself, that decides, and what no text may spell cannot be worth less than they are.
    """
    normal = [piece.score for piece in by_id if piece.kind == NORMAL]
    least, most = min(normal, default=0.0), max(normal, default=0.0)
    texts = {piece.text for piece in by_id if piece.kind == NORMAL}
    never = _NEVER if all(texts.issuperset(text) for text in texts) else least
    scores = []
    for number, piece in enumerate(by_id):
        if number == spec.unk_token_id:
            scores.append(0.0)  # by which PegasusTokenizer finds it
        elif piece.kind == NORMAL and number >= spec.special_below:
            scores.append(piece.score)
        elif piece.kind == USER_DEFINED and number >= spec.special_below:
            scores.append(len(piece.text.encode()) * most - 0.1)
        else:
            scores.append(never)
    return scores


def _check_apart(tokens: Sequence[AddedToken], own: Iterable[str], names: Iterable[str]) -> None:
    """Raises: UnsupportedError for tokens of which a text may spell two at one place."""
    contents = [token.content for token in tokens]
    for one in contents:
        overlap = any(
            one != other
            and any(one.endswith(other[:end]) for end in range(1, min(len(one), len(other))))
            for other in contents
        )
        if overlap or any(each in one for each in own):
            raise UnsupportedError(
                f"the added token {one} overlaps another, which a tokenizer.json finds otherwise"
            )
    if tokens and any("\U000f0000" <= char <= "\U0010ffff" for name in names for char in name):
        raise UnsupportedError(
            "the vocabulary has characters of a private plane, which a tokenizer.json of ours has "
            "in the place of added tokens"
        )


def _of_wordpiece(files: TokenizerFiles, planned: PlannedTokenizer) -> MadeTokenizer:
    spec, options = planned.spec, planned.spec.wordpiece or WordPieceSpec()
    vocabulary = vocabulary_of_wordpiece(files)
    named = {
        "unk_token": options.unk_token,
        "sep_token": options.sep_token,
        "pad_token": options.pad_token,
        "cls_token": options.cls_token,
        "mask_token": options.mask_token,
    }
    specials = {name: token for name, token in named.items() if token is not None}
    names = {token_id: token for token, token_id in vocabulary.items()}
    names |= {token.token_id: token.content for token in spec.added_tokens}
    content = _dump(
        tokens=[
            *_special({token: vocabulary[token] for token in specials.values()}),
            *spec.added_tokens,
        ],
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": options.tokenize_chinese_chars,
            "strip_accents": options.strip_accents,
            "lowercase": options.do_lower_case,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor=_template(spec, names, types=True),
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        model={
            "type": "WordPiece",
            "unk_token": options.unk_token,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": options.max_input_chars_per_word,
            "vocab": vocabulary,
        },
    )
    is_berts = files.reader == "bert"
    return MadeTokenizer(
        content=content,
        class_name="BertTokenizer" if is_berts else "PreTrainedTokenizerFast",
        special_tokens=specials,
        names=frozenset(names.values()),
    )


def _special(own: Mapping[str, int]) -> list[AddedToken]:
    return [
        AddedToken(content=content, token_id=token_id, special=True)
        for content, token_id in own.items()
    ]


def _dump(*, tokens: Iterable[AddedToken], **parts: Any) -> bytes:
    listed = []
    for token in sorted(tokens, key=lambda each: each.token_id):
        fields = asdict(token)
        listed.append({"id": fields.pop("token_id"), **fields})
    frame = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": listed}
    return json.dumps(frame | parts, ensure_ascii=False).encode()


def _template(
    spec: TokenizerSpec, names: Sequence[str] | Mapping[int, str], *, types: bool = False
) -> dict[str, Any]:
    """What comes around a text; types: whether what comes after the first has a number of its
    own."""
    ids = dict.fromkeys((*spec.prefix_ids, *spec.suffix_ids))
    tokens = {names[number]: number for number in ids}
    before, after = (
        [names[number] for number in ids] for ids in (spec.prefix_ids, spec.suffix_ids)
    )

    def steps(first: Sequence[str], second: Sequence[str] = ()) -> list[dict[str, Any]]:
        placed = [(name, 0) for name in first] + [(name, int(types)) for name in second]
        return [
            {
                "Sequence" if name.startswith("$") else "SpecialToken": {
                    "id": name.lstrip("$"),
                    "type_id": type_id,
                }
            }
            for name, type_id in placed
        ]

    parts_first = [*before, "$A", *(after if types else [])]
    return {
        "type": "TemplateProcessing",
        "single": steps([*before, "$A", *after]),
        "pair": steps(parts_first, ["$B", *after]),
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]}
            for name, number in sorted(tokens.items())
        },
    }
