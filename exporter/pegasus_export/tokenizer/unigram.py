"""A Unigram vocabulary of tokenizer.json as a SentencePiece model, whose ids are its places."""

from collections.abc import Mapping, Sequence
from typing import Any

from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.tokenizer.added_tokens import find_added_tokens, special_token
from pegasus_export.tokenizer.files import TokenizerFiles
from pegasus_export.tokenizer.model_proto import (
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    Piece,
    write_model,
)
from pegasus_export.tokenizer.pipeline import PEGASUS, Pipeline, find_charsmap, read_pipeline
from pegasus_runtime.bundle import TokenizerSpec

__all__ = ["model_of_unigram", "unigram_vocabulary"]


def unigram_vocabulary(files: TokenizerFiles) -> list[tuple[str, float]]:
    """Pieces and scores by their ids. Raises: UnsupportedError, CheckpointError."""
    model = files.json.get("model")
    kind = model.get("type", "none") if isinstance(model, Mapping) else "none"
    if not isinstance(model, Mapping) or kind != "Unigram":
        raise UnsupportedError(
            f"{files.folder / 'tokenizer.json'} has a model of type {kind}, expected Unigram, or "
            "WordPiece for BertTokenizer: export with --target onnx, whose users bring their own "
            "tokenizer"
        )
    if model.get("byte_fallback"):
        raise UnsupportedError(
            f"{files.folder / 'tokenizer.json'} has byte_fallback, which bundles cannot do: "
            "export with --target onnx, whose users bring their own tokenizer"
        )
    try:
        return [(str(piece), float(score)) for piece, score in model["vocab"]]
    except (KeyError, TypeError, ValueError) as err:
        raise CheckpointError(
            f"{files.folder / 'tokenizer.json'}: its vocabulary is no list of pieces and scores: "
            "download it again"
        ) from err


def model_of_unigram(
    files: TokenizerFiles, vocabulary: Sequence[tuple[str, float]], *, network_pad: int
) -> tuple[bytes, TokenizerSpec]:
    """Model and manifest's words on it. Raises: UnsupportedError, CheckpointError."""
    ids = {piece: number for number, (piece, _) in enumerate(vocabulary)}
    added = find_added_tokens(files, ids)
    all_ids = ids | {token.content: token.token_id for token in added}
    pipeline = _pipeline(files)
    unk = _unknown_id(files, vocabulary)
    eos_name = special_token(files, "eos")
    around = [None if name is None else all_ids.get(name, -1) for name in pipeline.template]
    if -1 in around or (eos_name is not None and eos_name not in all_ids):
        raise CheckpointError(
            f"{files.folder / 'tokenizer.json'} has no {eos_name}, which ends a text: take it from "
            "the model that the checkpoint was trained from"
        )
    if around.count(None) != 1:
        raise CheckpointError(
            f"{files.folder} has no eos_token, which ends a text: name it in tokenizer_config.json"
        )
    text = around.index(None)
    prefix = tuple(each for each in around[:text] if each is not None)
    suffix = tuple(each for each in around[text + 1 :] if each is not None)
    eos = next((each for each in reversed(suffix) if each < len(ids)), None)
    eos = ids.get(eos_name or "", 1) if eos is None else eos
    pad = ids.get(special_token(files, "pad") or "", network_pad)
    if unk in (pad, eos):
        raise UnsupportedError(
            f"{files.folder} has one token, {vocabulary[unk][0]}, as its unk_token and as its "
            f"{'pad' if unk == pad else 'eos'}_token, which bundles cannot do: export with "
            "--target onnx, whose users bring their own tokenizer"
        )
    controls = {token.token_id for token in added if token.special} | {pad, eos}
    pieces = _pieces(vocabulary, controls, unk, splits=pipeline.splits)
    if pipeline.trims and not pipeline.in_words and any(token.normalized for token in added):
        raise UnsupportedError(
            f"{files.folder / 'tokenizer.json'} has the normalizer Strip and added tokens that are "
            "normalized, which bundles cannot do: export with --target onnx, whose users bring "
            "their own tokenizer"
        )
    own = {number for number, piece in enumerate(pieces) if piece.kind in (CONTROL, UNKNOWN)}
    spec = TokenizerSpec(
        file="spiece.model",
        offset=0,
        pad_token_id=pad,
        eos_token_id=eos,
        unk_token_id=unk,
        special_below=0,
        prefix_ids=prefix,
        suffix_ids=suffix,
        added_tokens=tuple(token for token in added if token.token_id not in own),
        prepend=pipeline.prepend,
        trims=pipeline.trims,
    )
    return write_model(pieces, charsmap=pipeline.charsmap, pad=pad, eos=eos, unk=unk), spec


def _pipeline(files: TokenizerFiles) -> Pipeline:
    if files.reader == "file":
        return read_pipeline(files.json)
    return Pipeline(
        charsmap=find_charsmap(files.json) or PEGASUS.charsmap,
        template=(None, special_token(files, "eos")),
    )


def _unknown_id(files: TokenizerFiles, vocabulary: Sequence[tuple[str, float]]) -> int:
    if files.reader == "pegasus":
        name = special_token(files, "unk")
        found = next((n for n, each in enumerate(vocabulary) if n and each == (name, 0.0)), None)
    else:
        found = files.json["model"].get("unk_id")
    if not isinstance(found, int) or not 0 <= found < len(vocabulary):
        raise CheckpointError(
            f"{files.folder / 'tokenizer.json'} has no token for what the vocabulary lacks: take "
            "it from the model that the checkpoint was trained from"
        )
    return found


def _pieces(
    vocabulary: Sequence[tuple[str, float]], controls: set[int], unk: int, *, splits: bool
) -> list[Piece]:
    """A piece of a text that comes twice is the last; one over a space is none if text is split."""
    last: Mapping[str, Any] = {text: number for number, (text, _) in enumerate(vocabulary)}
    pieces = []
    for number, (text, score) in enumerate(vocabulary):
        kind = UNKNOWN if number == unk else CONTROL if number in controls else NORMAL
        if last[text] != number or not text:
            text, kind = f"<piece {number}>", CONTROL
        elif splits and kind == NORMAL and "▁" in text[1:]:
            kind = UNUSED
        pieces.append(Piece(text, score, kind))
    return pieces
