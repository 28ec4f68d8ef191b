"""What transformers and transformers.js read beside a tokenizer.json of our making."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pegasus_export.tokenizer.files import TokenizerFiles
from pegasus_export.tokenizer.tokenizer_json import MadeTokenizer

__all__ = ["loader_files"]

# All that tokenizer.json says itself, and what names other files or code.
_SAID: Final = (
    "added_tokens_decoder",
    "additional_special_tokens",
    "auto_map",
    "extra_special_tokens",
    "fast_tokenizer_files",
    "special_tokens_map_file",
    "tokenizer_file",
)


def loader_files(
    files: TokenizerFiles, made: MadeTokenizer, *, max_tokens: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and contents.

    max_tokens: what a text is cut to where it is asked for and the checkpoint does not say.
    """
    config = {name: value for name, value in files.config.items() if name not in _SAID}
    tokens = _known(config, made.names) | dict(made.special_tokens)
    kept = {name: value for name, value in config.items() if not name.endswith("_token")}
    yield (
        "tokenizer_config.json",
        {"model_max_length": max_tokens, **kept, **tokens, "tokenizer_class": made.class_name},
    )
    yield "special_tokens_map.json", _known(files.special_tokens_map, made.names) | tokens


def _known(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Tokens by what they are for; one that the network has no row for would get a number."""
    known = set(names)
    found = {}
    for name, value in config.items():
        content = value.get("content") if isinstance(value, Mapping) else value
        if name.endswith("_token") and isinstance(content, str) and content in known:
            found[name] = content
    return found
