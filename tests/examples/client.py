"""Programs of examples/ that summarise in other languages, and Python's answers to hold them to."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from pegasus_export.generation.fixed import INPUT_OPTIONS
from pegasus_runtime import GenerationOptions
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["CLIENTS", "EXAMPLES", "Client", "Summary", "summarize_in_python"]

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
EARLY_STOPPING = {False: 0, True: 1, "never": 2}
FLOATS = ("length_penalty", "repetition_penalty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a program prints for one row; the same tokens have the same score within rounding."""

    text: str
    token_ids: tuple[int, ...]
    score: float = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """How a program is started, and what it cannot run without."""

    command: tuple[str, ...]
    needs: Path
    make: str

    @property
    def lacks(self) -> str:
        """Why it cannot run here; "" if it can."""
        if shutil.which(self.command[0]) is None and not Path(self.command[0]).exists():
            return f"no {self.command[0]}: {self.make}"
        return "" if self.needs.exists() else f"no {self.needs}: {self.make}"

    def run(
        self, *words: object, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def summarize(
        self,
        bundle: Path,
        files: Sequence[Path],
        options: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
    ) -> list[list[Summary]]:
        """The summaries of each file."""
        ran = self.run(bundle, *files, "--json", *options, environment=environment)
        assert ran.returncode == 0, ran.stderr
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        assert [line["file"] for line in lines] == list(map(str, files))
        return [[_read(each) for each in line["summaries"]] for line in lines]


def _read(summary: dict[str, Any]) -> Summary:
    return Summary(**{**summary, "token_ids": tuple(summary["token_ids"])})


_CPP = REPOSITORY / "build" / "clients" / "cpp" / "summarize"
CLIENTS = {
    "node": Client(
        command=("node", str(EXAMPLES / "node" / "summarize.mjs")),
        needs=EXAMPLES / "node_modules" / "onnxruntime-node",
        make="make build/clients/node.installed installs it, where npm is",
    ),
    "cpp": Client(
        command=(str(_CPP),),
        needs=_CPP,
        make="make build/clients/cpp.installed builds it, on Debian",
    ),
}


def summarize_in_python(
    bundle: Path, texts: Sequence[str], **options: float
) -> list[list[Summary]]:
    """With the same graph in ONNX Runtime's Python package, and the runtime's tokenizer.

    Texts that are too long are cut.
    """
    manifest = open_bundle(bundle).manifest
    resolved = resolve_for_manifest(GenerationOptions(), manifest)
    settings = {name: getattr(resolved, name) for name in INPUT_OPTIONS}
    settings["early_stopping"] = EARLY_STOPPING[resolved.early_stopping]
    settings |= options
    spec = manifest.tokenizer
    assert spec is not None
    tokenizer = Tokenizer.load(bundle / spec.file, spec)
    session = onnxruntime.InferenceSession(
        bundle / manifest.graphs["generate"].file, providers=["CPUExecutionProvider"]
    )
    scalars = {
        name: np.array(value, np.float32 if name in FLOATS else np.int64)
        for name, value in settings.items()
    }
    found = []
    for text in texts:
        encoding = tokenizer.encode(
            text, max_tokens=manifest.limits.max_source_tokens, truncate=True
        )
        ids = np.array([encoding.token_ids])
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), **scalars}
        sequences, lengths, scores = session.run(["sequences", "lengths", "scores"], feeds)
        rows = [row[:length].tolist() for row, length in zip(sequences[0], lengths[0], strict=True)]
        found.append(
            [
                Summary(text=tokenizer.decode(row), token_ids=tuple(row), score=float(score))
                for row, score in zip(rows, scores[0], strict=True)
                if row
            ]
        )
    return found
