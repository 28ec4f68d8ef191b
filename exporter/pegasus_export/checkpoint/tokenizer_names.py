"""Names of the files that transformers 5.23 reads tokenizers from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["TOKENIZER_FILES", "find_tokenizer_files", "has_vocabulary"]

_SETTINGS: Final = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
_VOCABULARIES: Final = (
    "tokenizer.json",
    "tokenizer.*.json",  # of a version, by fast_tokenizer_files
    "spiece.model",
    "vocab.txt",
    # of its other classes
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spm.model",
    "spm_char.model",
    "source.spm",
    "target.spm",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "tekken.json",
    "tiktoken.model",
)
TOKENIZER_FILES: Final = (*_SETTINGS, *_VOCABULARIES)
"""Patterns of them; nothing that could be run is among them."""


def find_tokenizer_files(folder: Path) -> Iterator[Path]:
    """Those that a folder has."""
    for pattern in TOKENIZER_FILES:
        yield from sorted(path for path in folder.glob(pattern) if path.is_file())


def has_vocabulary(folder: Path) -> bool:
    """Whether one of them is there, of whatever class."""
    return any(path.is_file() for name in _VOCABULARIES for path in folder.glob(name))
