"""The small JSON files of a checkpoint."""

import json
from pathlib import Path
from typing import Any

from pegasus_export.errors import CheckpointError

__all__ = ["read_json_object"]


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file whose outermost value is an object.

    Raises CheckpointError if it cannot be read or is anything else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
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
