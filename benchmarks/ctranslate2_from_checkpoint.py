"""Converts a PEGASUS checkpoint for CTranslate2.

Its converter reads settings that transformers no longer writes into PEGASUS configs; they are
added here, to a copy of config.json beside links to the other files.

    python benchmarks/ctranslate2_from_checkpoint.py CHECKPOINT OUTPUT --quantization int8
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

__all__ = ["PEGASUS_SETTINGS", "convert_checkpoint"]

PEGASUS_SETTINGS = {
    "normalize_before": True,
    "add_final_layer_norm": True,
    "normalize_embedding": False,
    "static_position_embeddings": True,
    "add_bias_logits": False,
    "extra_pos_embeddings": 0,
}


def convert_checkpoint(checkpoint: Path, output: Path, *, quantization: str) -> None:
    """Writes CTranslate2's model folder; an ``output`` that exists is replaced."""
    from ctranslate2.converters import TransformersConverter

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in checkpoint.resolve().iterdir():
            if source.name != "config.json":
                (folder / source.name).symlink_to(source)
        config = json.loads((checkpoint / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | PEGASUS_SETTINGS))
        converter = TransformersConverter(str(folder))
        converter.convert(str(output), quantization=quantization, force=True)


def main(argv: list[str] | None = None) -> int:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="folder, as transformers writes it")
    parser.add_argument("output", type=Path, help="folder for the converted model")
    parser.add_argument("--quantization", choices=("float32", "int8"), default="float32")
    arguments = parser.parse_args(argv)
    convert_checkpoint(arguments.checkpoint, arguments.output, quantization=arguments.quantization)
    return 0


if __name__ == "__main__":
    sys.exit(main())
