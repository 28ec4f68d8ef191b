"""Randeng-Pegasus's tokenizer: a vocab.txt that IDEA-CCNL's own code reads."""

from dataclasses import replace
from typing import Final

from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.tokenizer.added_tokens import find_added_tokens, special_token
from pegasus_export.tokenizer.files import TokenizerFiles
from pegasus_runtime.bundle import TokenizerSpec
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.randeng import (
    EOS,
    MASKED_SENTENCE,
    OPTIONS,
    read_randeng_vocab,
)

__all__ = ["randeng_tokenizer"]

_NAMES: Final = {
    "pad": OPTIONS.pad_token,
    "eos": EOS,
    "unk": OPTIONS.unk_token,
    "sep": OPTIONS.sep_token,
    "cls": OPTIONS.cls_token,
    "mask": OPTIONS.mask_token,
}


def randeng_tokenizer(files: TokenizerFiles) -> TokenizerSpec:
    """The manifest's words on it. Raises: CheckpointError, UnsupportedError."""
    assert files.vocab is not None
    _check_settings(files)
    try:
        vocabulary = read_randeng_vocab(files.vocab)
    except BundleError as err:
        raise CheckpointError(str(err)) from err
    own = {*_NAMES.values(), MASKED_SENTENCE}
    for name in ("[SEP]", "[CLS]"):
        if name not in vocabulary:
            raise CheckpointError(
                f"{files.vocab}: has no line {name}, which Randeng-Pegasus's tokenizer needs: take "
                "the vocab.txt that the checkpoint was trained with"
            )
    # The slow tokenizers of transformers look for tokens before anything is normalised.
    added = [
        replace(token, normalized=False)
        for token in find_added_tokens(files, vocabulary)
        if token.content not in own
    ]
    config = files.config
    return TokenizerSpec(
        file="vocab.txt",
        kind="randeng",
        offset=0,
        pad_token_id=vocabulary[OPTIONS.pad_token],
        eos_token_id=vocabulary[EOS],
        unk_token_id=vocabulary[OPTIONS.unk_token],
        special_below=0,
        suffix_ids=(vocabulary[EOS],),
        added_tokens=tuple(added),
        wordpiece=replace(
            OPTIONS,
            do_lower_case=bool(config.get("do_lower_case", True)),
            tokenize_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
            strip_accents=config.get("strip_accents"),
        ),
        dictionary="dictionary.txt",
    )


def _check_settings(files: TokenizerFiles) -> None:
    """Refuse those that the published checkpoints do not have and that would change ids."""
    got: dict[str, object] = {f"{name}_token": special_token(files, name) for name in _NAMES}
    expected: dict[str, object] = {f"{name}_token": token for name, token in _NAMES.items()}
    others = {"mask_token_sent": MASKED_SENTENCE, "do_basic_tokenize": True, "never_split": None}
    got |= {name: files.config.get(name, value) for name, value in others.items()}
    expected |= others
    for name, value in got.items():
        if value != expected[name] and (value or expected[name]):
            raise UnsupportedError(
                f"{files.folder} has {name} {value!r} for its tokenizer, expected "
                f"{expected[name]!r} as Randeng-Pegasus has: export with --target onnx, whose "
                "users bring their own tokenizer"
            )
