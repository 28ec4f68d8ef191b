"""The small JSON files of a checkpoint."""

import json
from pathlib import Path
from typing import Any, Final

from pegasus_export.errors import CheckpointError
from pegasus_runtime.tokenization.bounded_file import read_bounded

__all__ = ["max_json_bytes", "read_json_object"]

# Parsed, they take some thirty times as much memory. The largest tokenizer.json have 35 MB; with
# added tokens tokenizer_config.json has some, the index of thousands of tensors one.
_MAX_BYTES: Final = 4 * 2**20
_MAX_TABLE_BYTES: Final = 16 * 2**20
_MAX_TOKENIZER_BYTES: Final = 48 * 2**20
_TABLES: Final = ("tokenizer_config.json", "added_tokens.json", "special_tokens_map.json")


def max_json_bytes(path: Path) -> int:
    """What a file of this name has at most."""
    if path.name == "tokenizer.json":
        return _MAX_TOKENIZER_BYTES
    is_table = path.name in _TABLES or ".index" in path.name
    return _MAX_TABLE_BYTES if is_table else _MAX_BYTES


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file whose outermost value is an object.

    Raises CheckpointError if it cannot be read, is larger than such a file can be, or is
    anything else.
    """
    try:
        content = json.loads(read_bounded(path, max_json_bytes(path)).decode("utf-8-sig"))
    except OSError as err:
        raise CheckpointError(
            f"{path} cannot be read ({err.strerror}): check the folder, or download it again"
        ) from err
    except (ValueError, RecursionError) as err:
        raise CheckpointError(f"{path} is not valid JSON ({err}): download it again") from err
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a JSON {type(content).__name__}, expected an object: download it again"
        )
    return content
