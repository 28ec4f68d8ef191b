"""spiece.model as the checkpoint has it, and the tokens that the folder puts beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pegasus_export.errors import CheckpointError
from pegasus_export.tokenizer.added_tokens import find_added_tokens, special_token
from pegasus_export.tokenizer.files import TokenizerFiles
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS, AddedToken, TokenizerSpec

__all__ = [
    "has_published_ids",
    "mask_note",
    "names_of_spiece",
    "other_unknown",
    "published_ids",
    "spec_of_spiece",
]

_MAX_OFFSET = 2**16 - 1  # each is a token that takes memory
_FIRST_PIECE = 2  # <pad> and </s> are the first two whatever comes between


def spec_of_spiece(files: TokenizerFiles, pieces: Sequence[str]) -> TokenizerSpec:
    """How the checkpoint numbers the pieces of its spiece.model. Raises: CheckpointError."""
    spec = PUBLISHED_TOKENIZERS[files.model_type]
    if files.is_of_pegasus:
        shift = _offset(files) - spec.offset
        spec = replace(
            spec,
            offset=spec.offset + shift,
            unk_token_id=spec.unk_token_id + shift,
            special_below=spec.special_below + shift,
        )
    ids = published_ids(files, spec, pieces)
    spec = replace(spec, suffix_ids=(_eos(files, spec, ids),))
    # transformers 5.23 cannot read BigBirdPegasus's spiece.model, and nobody has seen its ids.
    tokens = find_added_tokens(files, ids, listed_only=not files.is_of_pegasus)
    return replace(
        spec,
        added_tokens=tuple(token for token in tokens if not _is_own(token, spec, ids)),
    )


def has_published_ids(
    files: TokenizerFiles, pieces: Sequence[str], vocabulary: Sequence[str]
) -> bool:
    """Whether a tokenizer.json's vocabulary is that of spiece.model."""
    spec = PUBLISHED_TOKENIZERS[files.model_type]
    ids = published_ids(files, spec, pieces)
    return ids == {piece: number for number, piece in enumerate(vocabulary)}


def published_ids(
    files: TokenizerFiles, spec: TokenizerSpec, pieces: Sequence[str]
) -> dict[str, int]:
    """Token -> id: the first pieces, what the offset makes room for, and the rest."""
    return {token: number for number, token in enumerate(names_of_spiece(files, spec, pieces))}


def names_of_spiece(files: TokenizerFiles, spec: TokenizerSpec, pieces: Sequence[str]) -> list[str]:
    """Tokens by their ids."""
    names = [special_token(files, "pad"), special_token(files, "eos")]
    first = [name or piece for name, piece in zip(names, pieces, strict=False)]
    masks = _masks(files) if spec.offset else []
    unknowns = [f"<unk_{number}>" for number in range(2, spec.offset)]
    tokens = [*first, *masks, *unknowns]
    return [*tokens[: spec.offset + _FIRST_PIECE], *pieces[_FIRST_PIECE:]]


def other_unknown(files: TokenizerFiles, pieces: Sequence[str]) -> str | None:
    """The unk_token of the folder, where PegasusTokenizer has another id for it than spiece.model.

    It takes the first token of that name that is not padding.
    """
    name = special_token(files, "unk")
    if files.reader != "pegasus" or name is None:
        return None
    spec = spec_of_spiece(files, pieces)
    tokens = names_of_spiece(files, spec, pieces)
    unknown = tokens.index(name, 1) if name in tokens[1:] else spec.unk_token_id
    return None if unknown == spec.unk_token_id else name


def _offset(files: TokenizerFiles) -> int:
    """As PegasusTokenizer fills the ids before the pieces, whatever number it is told."""
    offset = files.config.get("offset", 103)
    if type(offset) is not int or not 0 <= offset <= _MAX_OFFSET:
        raise CheckpointError(
            f"{_config(files)} has offset {offset!r}, expected a number from 0 to {_MAX_OFFSET}: "
            "take it from the model that the checkpoint was trained from"
        )
    return len(_masks(files)) + max(offset - _FIRST_PIECE, 0)


def _eos(files: TokenizerFiles, spec: TokenizerSpec, ids: Mapping[str, int]) -> int:
    """What ends a text: another piece where the folder names one."""
    name = special_token(files, "eos")
    return spec.eos_token_id if name is None else ids.get(name, spec.eos_token_id)


def _masks(files: TokenizerFiles) -> list[str]:
    """The published ones in their order; others as PegasusTokenizer puts them."""
    names = [special_token(files, "mask"), files.config.get("mask_token_sent", "<mask_1>")]
    found = list(dict.fromkeys(name for name in names if isinstance(name, str)))
    return sorted(found) if set(found) == {"<mask_1>", "<mask_2>"} else found


def mask_note(files: TokenizerFiles) -> str | None:
    """What to say of a folder whose pieces PegasusConverter of transformers 5.23 numbers otherwise.

    It takes another default for the sentence mask than PegasusTokenizer: where a folder names
    `<mask_2>` and not mask_token_sent, its pieces have ids that are one below those that the
    network was trained with.
    """
    named = [files.config.get("mask_token", "<mask_1>")]
    if "added_tokens_decoder" not in files.config:
        named = [files.special_tokens_map.get("mask_token", named[0])]
    named.append(files.config.get("mask_token_sent", "<mask_2>"))
    contents = [each.get("content") if isinstance(each, Mapping) else each for each in named]
    found = {str(each) for each in contents if each is not None}
    if len(found) == len(_masks(files)):
        return None
    return (
        "tokenizer_config.json has no mask_token_sent, without which transformers 5.23 gives "
        "pieces of spiece.model other ids than the network was trained with: the bundle's "
        "tokenizer.json has the network's"
    )


def _config(files: TokenizerFiles) -> Path:
    return files.folder / "tokenizer_config.json"


def _is_own(token: AddedToken, spec: TokenizerSpec, ids: dict[str, int]) -> bool:
    """Special ones of the model itself, and pieces that SentencePiece finds as they are."""
    is_piece = ids.get(token.content) == token.token_id
    plain = not (token.special or token.lstrip or token.rstrip or token.single_word)
    return token.token_id < spec.special_below or (is_piece and plain and not token.normalized)
