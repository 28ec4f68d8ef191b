"""What is attacked: sound checkpoints and bundles, and documents, made once in a folder.

checkpoints/NAME, bundles/NAME, short.txt, other.txt, long.txt, answers.json
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BUNDLES",
    "CHECKPOINTS",
    "FORMATS",
    "SHORT",
    "Bases",
    "BundleKind",
    "make_bases",
    "write_checkpoint",
    "write_documents",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleKind:
    """One kind of bundle: of which checkpoint, how it is exported, and what runs it."""

    checkpoint: str
    export: tuple[str, ...] = ()
    command: str = "summarize"
    arguments: tuple[str, ...] = ()


CHECKPOINTS: Mapping[str, dict[str, object]] = {
    "pegasus": {},
    "twin": {"seed": 1},
    "bin": {"weights": "bin"},
    "legacy": {"weights": "bin-legacy"},
    "sharded": {"weights": "safetensors-sharded"},
    "bin-sharded": {"weights": "bin-sharded"},
    "bigbird": {"architecture": "BigBirdPegasusForConditionalGeneration"},
    "wide": {
        "architecture": "BigBirdPegasusForConditionalGeneration",
        "block_size": 16,
        "d_model": 512,
        "encoder_attention_heads": 8,
        "decoder_attention_heads": 8,
        "encoder_ffn_dim": 2048,
        "decoder_ffn_dim": 2048,
    },
    "labels": {"architecture": "BigBirdPegasusForSequenceClassification"},
    "answers": {"architecture": "BigBirdPegasusForQuestionAnswering"},
    "stories": {"architecture": "PegasusForCausalLM"},
}
_PLANS = ("--target", "trt-rtx", "--onnx-only", "--num-beams", "4", "--max-batch", "2")
BUNDLES: Mapping[str, BundleKind] = {
    "pegasus": BundleKind(checkpoint="pegasus"),
    "twin": BundleKind(checkpoint="twin"),
    "bigbird": BundleKind(checkpoint="bigbird"),
    "wide": BundleKind(checkpoint="wide"),
    "int8": BundleKind(checkpoint="pegasus", export=("--precision", "int8")),
    "int4": BundleKind(checkpoint="pegasus", export=("--precision", "int4")),
    "fp16": BundleKind(checkpoint="pegasus", export=("--precision", "fp16")),
    "plans": BundleKind(checkpoint="pegasus", export=_PLANS, arguments=("--provider", "cpu")),
    "labels": BundleKind(checkpoint="labels", command="classify"),
    "answers": BundleKind(checkpoint="answers", command="answer"),
    "stories": BundleKind(
        checkpoint="stories", command="generate", arguments=("--max-new-tokens", "8")
    ),
}
FORMATS = ("flax", "h5", "tf1-pegasus")
"""Checkpoints of other frameworks, which the tests of their readers have; without a tokenizer."""
_WRITTEN = Path(__file__).resolve().parents[1] / "exporter/checkpoint/formats/written"


_LEFT_ALONE = ("twin", "wide")

SHORT: Mapping[str, tuple[str, ...]] = {
    "bundles": ("fp16", "labels", "pegasus"),
    "checkpoints": ("bin", "pegasus", "sharded"),
}
"""What the tests attack: little, and what other tests export too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bases:
    """Their folder. short: whether cases are drawn from SHORT alone; others may be there."""

    root: Path
    short: bool = False

    def bundle(self, name: str) -> Path:
        return self.root / "bundles" / name

    def checkpoint(self, name: str) -> Path:
        return self.root / "checkpoints" / name

    def document(self, name: str) -> Path:
        return self.root / f"{name}.txt"

    def names(self, what: str) -> tuple[str, ...]:
        """Of "bundles" or "checkpoints", but for those that nothing is done to."""
        every = {"bundles": (*BUNDLES,), "checkpoints": (*CHECKPOINTS, *FORMATS)}
        names = (SHORT if self.short else every)[what]
        return tuple(name for name in names if name not in _LEFT_ALONE)


def make_bases(root: Path, *, short: bool = False) -> Bases:
    """Makes what is missing."""
    bases = Bases(root=root, short=short)
    write_documents(bases)
    for name in CHECKPOINTS:
        write_checkpoint(bases, name)
    for name in FORMATS:
        shutil.copytree(_WRITTEN / name, bases.checkpoint(name), dirs_exist_ok=True)
        shutil.copy(_WRITTEN / "pegasus" / "config.json", bases.checkpoint(name))
    for name, kind in BUNDLES.items():
        if not bases.bundle(name).exists():
            export_bundle(bases.checkpoint(kind.checkpoint), bases.bundle(name), *kind.export)
    return bases


def write_documents(bases: Bases) -> None:
    """Short and other, which every bundle takes, and long, which none does."""
    from exporter.tiny_checkpoint import tiny_sentences

    sentences = tiny_sentences()
    bases.root.mkdir(parents=True, exist_ok=True)
    texts = {"short": sentences[:2], "other": sentences[3:5], "long": sentences}
    for name, parts in texts.items():
        bases.document(name).write_text(" ".join(parts), encoding="utf-8")


def write_checkpoint(bases: Bases, name: str) -> None:
    """One of CHECKPOINTS, unless it is there."""
    from exporter.tiny_checkpoint import write_tiny_checkpoint

    if not bases.checkpoint(name).exists():
        write_tiny_checkpoint(bases.checkpoint(name), **CHECKPOINTS[name])  # type: ignore[arg-type]


def export_bundle(checkpoint: Path, output: Path, *options: str) -> None:
    """In a process of its own, as ONNX Runtime must not be imported before workers start."""
    command = [sys.executable, "-m", "pegasus_export.command.main", "--model", str(checkpoint)]
    subprocess.run([*command, "--output", str(output), "--quiet", *options], check=True)
