"""Inputs that atheris makes, led by coverage, for what reads a stranger's file.

    pip install atheris
    PYTHONPATH=tests python tests/attack/fuzz.py manifest -max_total_time=600 CORPUS

READER is one of READERS; what follows goes to libFuzzer. CORPUS is a folder of sound inputs, such
as a bundle's manifest.json. Anything but the reader's own error ends it, and the input is kept.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["pegasus_runtime", "pegasus_export"]):
    from pegasus_export.checkpoint.formats.flax_msgpack import read_flax_msgpack
    from pegasus_export.checkpoint.formats.tf1_table import read_table
    from pegasus_export.checkpoint.formats.torch_safetensors import read_safetensors
    from pegasus_export.errors import CheckpointError
    from pegasus_runtime.bundle import TokenizerSpec, parse_manifest
    from pegasus_runtime.errors import BundleError
    from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["READERS"]

_FILE = Path(tempfile.mkdtemp()) / "input"


def _manifest(data: bytes) -> None:
    parse_manifest(data.decode("utf-8", "replace"))


def _vocabulary(data: bytes) -> None:
    _FILE.write_bytes(data)
    tokenizer = Tokenizer.load(_FILE, TokenizerSpec(file="input"))
    tokenizer.decode(tokenizer.encode("A short text.").token_ids)


def _of_file(read: Callable[[Path], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        _FILE.write_bytes(data)
        read(_FILE)

    return run


READERS: Mapping[str, Callable[[bytes], None]] = {
    "manifest": _manifest,
    "vocabulary": _vocabulary,
    "flax": _of_file(read_flax_msgpack),
    "safetensors": _of_file(read_safetensors),
    "tf1": _of_file(read_table),
}


def main() -> None:
    """Runs the reader that the first argument names."""
    read = READERS[sys.argv.pop(1)]

    def try_input(data: bytes) -> None:
        with contextlib.suppress(BundleError, CheckpointError):
            read(data)

    atheris.Setup(sys.argv, try_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
