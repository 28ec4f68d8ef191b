"""BERT's vocabulary: a folder's vocab.txt, or the same of its tokenizer.json."""

from collections.abc import Mapping
from typing import Any

from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.tokenizer.added_tokens import find_added_tokens, special_token
from pegasus_export.tokenizer.files import TokenizerFiles, read_vocabulary
from pegasus_export.tokenizer.pipeline import read_template
from pegasus_runtime.bundle import TokenizerSpec, WordPieceSpec
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.wordpiece import read_vocab

__all__ = ["vocabulary_of_wordpiece", "wordpiece_tokenizer"]


def vocabulary_of_wordpiece(files: TokenizerFiles) -> dict[str, int]:
    """Token -> id. Raises: CheckpointError."""
    if not files.json:
        assert files.vocab is not None
        try:
            return read_vocab(files.vocab)
        except BundleError as err:
            raise CheckpointError(str(err)) from err
    vocabulary = files.json["model"].get("vocab")
    ids = vocabulary.values() if isinstance(vocabulary, Mapping) else ()
    if not ids or sorted(ids) != list(range(len(ids))):
        raise CheckpointError(
            f"{files.folder / 'tokenizer.json'}: its vocabulary does not number its tokens from 0 "
            "on: download it again"
        )
    return dict(vocabulary)


def wordpiece_tokenizer(
    files: TokenizerFiles, vocabulary: Mapping[str, int], *, network_pad: int
) -> tuple[bytes, TokenizerSpec]:
    """vocab.txt and the manifest's words on it. Raises: CheckpointError, UnsupportedError."""
    own, template = _settings(files)
    added = find_added_tokens(files, vocabulary)
    ids = dict(vocabulary) | {token.content: token.token_id for token in added}
    names = {name: special_token(files, name) for name in ("pad", "unk", "sep", "cls", "mask")}
    known = {name: token for name, token in names.items() if token in vocabulary}
    by_id = {token_id: token for token, token_id in vocabulary.items()}
    unk: str = own.pop("unk_token", None) or known.get("unk") or "[UNK]"
    last = next((name for name in reversed(template) if name in vocabulary), None)
    sep = known.get("sep") or last or "[SEP]"
    pad = known.get("pad") or by_id.get(network_pad) or "[PAD]"
    missing = [name for name in (unk, sep, pad, *template) if name is not None and name not in ids]
    if missing:
        raise CheckpointError(
            f"{files.folder}: the vocabulary has no {missing[0]}, which the tokenizer needs: take "
            "its files from the model that the checkpoint was trained from"
        )
    words = WordPieceSpec(
        **own,
        pad_token=pad,
        unk_token=unk,
        sep_token=sep,
        cls_token=known.get("cls"),
        mask_token=known.get("mask"),
    )
    text = template.index(None)
    specials = {pad, unk, sep, *known.values()}
    spec = TokenizerSpec(
        file="vocab.txt",
        kind="wordpiece",
        offset=0,
        pad_token_id=ids[pad],
        eos_token_id=ids[sep],
        unk_token_id=ids[unk],
        special_below=0,
        prefix_ids=tuple(ids[name] for name in template[:text] if name is not None),
        suffix_ids=tuple(ids[name] for name in template[text + 1 :] if name is not None),
        added_tokens=tuple(token for token in added if token.content not in specials),
        wordpiece=words,
    )
    return _text_of(files, vocabulary), spec


def _settings(files: TokenizerFiles) -> tuple[dict[str, Any], tuple[str | None, ...]]:
    """How text is cut, and what comes around it."""
    if files.reader != "file" or not files.json:
        config = files.config
        own = {
            "do_lower_case": bool(config.get("do_lower_case", True)),
            "tokenize_chinese_chars": bool(config.get("tokenize_chinese_chars", True)),
            "strip_accents": config.get("strip_accents"),
        }
        return own, (special_token(files, "cls"), None, special_token(files, "sep"))
    content = files.json
    normalizer = content.get("normalizer") or {}
    steps = {
        "normalizer BertNormalizer that cleans text": normalizer.get("type") == "BertNormalizer"
        and normalizer.get("clean_text", True),
        "pre_tokenizer BertPreTokenizer": (content.get("pre_tokenizer") or {}).get("type")
        == "BertPreTokenizer",
        "continuing_subword_prefix ##": content["model"].get("continuing_subword_prefix") == "##",
    }
    for name, is_there in steps.items():
        if not is_there:
            raise UnsupportedError(
                f"tokenizer.json has a WordPiece model without the {name}, which bundles cannot "
                "do: export with --target onnx, whose users bring their own tokenizer"
            )
    own = {
        "do_lower_case": bool(normalizer.get("lowercase", True)),
        "tokenize_chinese_chars": bool(normalizer.get("handle_chinese_chars", True)),
        "strip_accents": normalizer.get("strip_accents"),
        "max_input_chars_per_word": content["model"].get("max_input_chars_per_word", 100),
        "unk_token": content["model"].get("unk_token"),
    }
    return own, read_template(content.get("post_processor"))


def _text_of(files: TokenizerFiles, vocabulary: Mapping[str, int]) -> bytes:
    """The file as it is, or one that holds the same."""
    if not files.json and files.vocab is not None:
        return read_vocabulary(files.vocab)
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    if any(token != token.rstrip() or "\n" in token for token in tokens):
        raise UnsupportedError(
            "tokenizer.json has a WordPiece token that ends in whitespace, which bundles cannot "
            "do: export with --target onnx, whose users bring their own tokenizer"
        )
    return "".join(f"{token}\n" for token in tokens).encode()
