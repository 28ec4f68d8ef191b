"""Converts a PEGASUS checkpoint for CTranslate2.

Its converter reads settings that transformers no longer writes into PEGASUS configs; they are
added here, to a copy of config.json beside links to the other files.

    python benchmarks/harness/ctranslate2_from_checkpoint.py CHECKPOINT OUTPUT int8
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

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


if __name__ == "__main__":
    checkpoint, output, quantization = sys.argv[1:]
    convert_checkpoint(Path(checkpoint), Path(output), quantization=quantization)
