"""Files that are not what their name says: empty ones, and pointers that Git LFS left for them."""

from pathlib import Path

from pegasus_export.errors import CheckpointError

__all__ = ["read_start"]

_START_BYTES = 64


def read_start(path: Path, what: str) -> bytes:
    """The first bytes of a file, which is there and holds something itself.

    what: that should be in it. Raises: CheckpointError.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except OSError as err:
        raise CheckpointError(
            f"{path} cannot be read ({err.strerror}): check the disk, or download it again"
        ) from err
    if not start:
        raise CheckpointError(f"{path} is empty: download it again")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is a Git LFS pointer, expected {what}: run `git lfs pull` in its folder"
        )
    return start
