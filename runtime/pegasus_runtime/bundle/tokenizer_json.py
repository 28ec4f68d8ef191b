"""What manifest.json says of its tokenizer, checked field by field."""

from typing import get_args

from pegasus_runtime.bundle.json_node import JsonNode
from pegasus_runtime.bundle.tokenizer_spec import (
    AddedToken,
    Prepend,
    TokenizerKind,
    TokenizerSpec,
    WordPieceSpec,
)

__all__ = ["read_tokenizer"]


def read_tokenizer(node: JsonNode) -> TokenizerSpec:
    """The manifest's field `tokenizer`. Raises: BundleError."""
    node.expect_fields_of(TokenizerSpec)
    spec = TokenizerSpec(
        file=node.child("file").file_path(),
        kind=node.child("kind").choice(get_args(TokenizerKind)),
        offset=node.child("offset").count(),
        pad_token_id=node.child("pad_token_id").count(),
        eos_token_id=node.child("eos_token_id").count(),
        unk_token_id=node.child("unk_token_id").count(),
        special_below=node.child("special_below").count(),
        prefix_ids=node.child("prefix_ids").sequence(JsonNode.count),
        suffix_ids=node.child("suffix_ids").sequence(JsonNode.count),
        added_tokens=node.child("added_tokens").sequence(_read_added_token),
        prepend=node.child("prepend").choice(get_args(Prepend)),
        trims=node.child("trims").boolean(),
        clean_up_spaces=node.child("clean_up_spaces").boolean(),
        wordpiece=node.child("wordpiece").optional(_read_wordpiece),
        dictionary=node.child("dictionary").optional(JsonNode.file_path),
    )
    if (spec.wordpiece is None) == (spec.kind in ("wordpiece", "randeng")):
        raise node.child("wordpiece").error("settings for wordpiece and randeng, null otherwise")
    if (spec.dictionary is None) == (spec.kind == "randeng"):
        raise node.child("dictionary").error("a file for kind randeng, null otherwise")
    if spec.offset > spec.unk_token_id:
        raise node.child("offset").error(f"at most unk_token_id, {spec.unk_token_id}")
    return spec


def _read_added_token(node: JsonNode) -> AddedToken:
    node.expect_fields_of(AddedToken)
    return AddedToken(
        content=node.child("content").text(),
        token_id=node.child("token_id").count(),
        special=node.child("special").boolean(),
        normalized=node.child("normalized").boolean(),
        lstrip=node.child("lstrip").boolean(),
        rstrip=node.child("rstrip").boolean(),
        single_word=node.child("single_word").boolean(),
    )


def _read_wordpiece(node: JsonNode) -> WordPieceSpec:
    node.expect_fields_of(WordPieceSpec)
    return WordPieceSpec(
        do_lower_case=node.child("do_lower_case").boolean(),
        tokenize_chinese_chars=node.child("tokenize_chinese_chars").boolean(),
        strip_accents=node.child("strip_accents").optional(JsonNode.boolean),
        max_input_chars_per_word=node.child("max_input_chars_per_word").positive(),
        pad_token=node.child("pad_token").text(),
        unk_token=node.child("unk_token").text(),
        sep_token=node.child("sep_token").text(),
        cls_token=node.child("cls_token").optional(JsonNode.text),
        mask_token=node.child("mask_token").optional(JsonNode.text),
    )
