"""Which tokenizer a bundle gets, and the file that holds it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import sentencepiece

from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.tokenizer.files import TokenizerFiles, read_tokenizer_files, read_vocabulary
from pegasus_export.tokenizer.jieba_dictionary import dictionary_of_jieba
from pegasus_export.tokenizer.randeng import randeng_tokenizer
from pegasus_export.tokenizer.sentencepiece import has_published_ids, other_unknown, spec_of_spiece
from pegasus_export.tokenizer.unigram import model_of_unigram, unigram_vocabulary
from pegasus_export.tokenizer.wordpiece import (
    vocabulary_of_wordpiece,
    wordpiece_tokenizer,
)
from pegasus_runtime.bundle import TokenizerSpec

__all__ = ["PlannedTokenizer", "plan_tokenizer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTokenizer:
    """What the manifest says of it, the content of its file, and where that comes from.

    dictionary: the content of the file of that name, where there is one.
    """

    spec: TokenizerSpec
    content: bytes
    source: Path
    dictionary: bytes = b""
    notes: tuple[str, ...] = ()


def plan_tokenizer(checkpoint: Checkpoint) -> PlannedTokenizer | None:
    """None for a folder without a tokenizer.

    tokenizer.json is the truth where it is, as for transformers; spiece.model is taken as it is
    where both have the same vocabulary. Raises: CheckpointError, UnsupportedError.
    """
    files = read_tokenizer_files(checkpoint)
    if files.spiece is None and files.vocab is None and not files.json:
        return None
    if files.reader is None:
        raise UnsupportedError(
            f"{checkpoint.folder} has a tokenizer of the class {files.class_name}, expected "
            "PegasusTokenizer or BertTokenizer: export with --target onnx, whose users bring their "
            "own tokenizer"
        )
    if files.is_vocab_alone or (files.reader != "pegasus" and files.has_wordpiece_json):
        planned = _of_wordpiece(files, checkpoint)
    elif files.reader == "bert":
        raise UnsupportedError(
            f"{checkpoint.folder} names BertTokenizer and has neither vocab.txt alone nor a "
            "tokenizer.json of its kind: correct tokenizer_class in tokenizer_config.json"
        )
    else:
        planned = _of_json(files, checkpoint) if files.json else _of_spiece(files)
    return _fit(planned, files, checkpoint)


def _of_wordpiece(files: TokenizerFiles, checkpoint: Checkpoint) -> PlannedTokenizer:
    vocabulary = vocabulary_of_wordpiece(files)
    notes: tuple[str, ...] = ()
    if files.is_vocab_alone and files.class_name != "BertTokenizer":
        if vocabulary.get("[SEP]") not in checkpoint.config.eos_token_ids:
            return _of_randeng(files, checkpoint)
        notes += ("vocab.txt is read as BertTokenizer does, whose [SEP] is the model's EOS",)
    content, spec = wordpiece_tokenizer(
        files, vocabulary, network_pad=checkpoint.config.pad_token_id
    )
    source = files.folder / "tokenizer.json" if files.json else files.vocab
    assert source is not None
    return PlannedTokenizer(spec=spec, content=content, source=source, notes=notes)


def _of_randeng(files: TokenizerFiles, checkpoint: Checkpoint) -> PlannedTokenizer:
    """Of vocab.txt whose EOS is not BERT's."""
    assert files.vocab is not None
    eos = vocabulary_of_wordpiece(files).get("[unused1]")
    is_class = files.class_name in (None, "PegasusTokenizer")
    if not is_class or eos not in checkpoint.config.eos_token_ids:
        raise UnsupportedError(
            f"{files.folder} has a vocab.txt whose [SEP] is not the EOS of config.json, as BERT's "
            "is, nor [unused1], as Randeng-Pegasus's is: the checkpoint has a tokenizer of its own "
            "code: export with --target onnx, whose users bring theirs"
        )
    spec = randeng_tokenizer(replace(files, is_randeng=True))
    dictionary, version = dictionary_of_jieba(files.folder)
    note = (
        "vocab.txt is read as Randeng-Pegasus's own code does, whose [unused1] is the model's EOS; "
        f"words are cut by the dictionary of jieba {version}"
    )
    return PlannedTokenizer(
        spec=spec,
        content=read_vocabulary(files.vocab),
        source=files.vocab,
        dictionary=dictionary,
        notes=(note,),
    )


def _of_spiece(files: TokenizerFiles) -> PlannedTokenizer:
    assert files.spiece is not None
    content = read_vocabulary(files.spiece)
    pieces = _pieces(content, files.spiece)
    if (name := other_unknown(files, pieces)) is not None:
        raise UnsupportedError(
            f"{files.folder} has the unk_token {name} for what the vocabulary lacks, expected that "
            "of spiece.model: correct tokenizer_config.json and special_tokens_map.json, or add "
            "the tokenizer.json that transformers' save_pretrained writes of them"
        )
    spec = spec_of_spiece(files, pieces)
    return PlannedTokenizer(spec=spec, content=content, source=files.spiece)


def _of_json(files: TokenizerFiles, checkpoint: Checkpoint) -> PlannedTokenizer:
    vocabulary = unigram_vocabulary(files)
    content, spec = model_of_unigram(files, vocabulary, network_pad=checkpoint.config.pad_token_id)
    source = files.folder / "tokenizer.json"
    if files.spiece is None:
        return PlannedTokenizer(spec=spec, content=content, source=source)
    pieces = _pieces(read_vocabulary(files.spiece), files.spiece)
    is_plain = spec.prepend == "always" and not spec.trims and not spec.prefix_ids
    is_plain &= other_unknown(files, pieces) is None
    if is_plain and has_published_ids(files, pieces, [piece for piece, _ in vocabulary]):
        return _of_spiece(files)
    note = (
        "tokenizer.json and spiece.model have other vocabularies: the first is taken, as "
        "transformers does"
    )
    return PlannedTokenizer(spec=spec, content=content, source=source, notes=(note,))


def _fit(
    planned: PlannedTokenizer, files: TokenizerFiles, checkpoint: Checkpoint
) -> PlannedTokenizer:
    """Without added tokens that the network has no row for: they can be nothing but text."""
    size = checkpoint.config.vocab_size
    tokens = planned.spec.added_tokens
    kept = tuple(token for token in tokens if token.token_id < size)
    notes = planned.notes
    if len(kept) < len(tokens):
        names = _listed([token.content for token in tokens if token.token_id >= size])
        notes += (
            f"the network has {size} rows and none for the added {names}: read as text; "
            "transformers fails on a text that has one",
        )
    spec = replace(
        planned.spec,
        added_tokens=kept,
        clean_up_spaces=bool(files.config.get("clean_up_tokenization_spaces", False)),
    )
    return replace(planned, spec=spec, notes=notes)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"


def _pieces(model: bytes, path: Path) -> Sequence[str]:
    try:
        if not model:
            raise ValueError("empty file")
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        pieces: list[str] = processor.id_to_piece(list(range(processor.get_piece_size())))
    except (RuntimeError, ValueError) as err:
        raise CheckpointError(
            f"{path}: not a SentencePiece model: take it from the model that the checkpoint was "
            "trained from"
        ) from err
    return pieces
