"""The model folder that each engine loads, exported or converted from one checkpoint.

Folders are kept between runs. A mark beside each says what it was made from and with; where that
has changed (the exporter's sources, a peer's version, the checkpoint) the folder is made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from importlib import metadata
from pathlib import Path

from engines_under_test import CTRANSLATE2_COMPUTE_TYPES, EngineUnderTest
from measure import measure_command
from peers import PEERS, REPOSITORY, ensure_peer

__all__ = ["prepare_engine"]

EXPORTER_SOURCES = ("exporter", "engines", "runtime/pegasus_runtime/bundle")
CONVERTER = Path(__file__).resolve().parent / "ctranslate2_from_checkpoint.py"


def prepare_engine(engine: EngineUnderTest, checkpoint: Path, work_dir: Path) -> Path:
    """The folder that the engine's worker loads.

    Raises: CommandError where the export or conversion fails.
    """
    if engine.family == "transformers":
        return checkpoint
    folder = work_dir / f"{checkpoint.name}-for-{engine.name}"
    mark = folder.with_name(f"{folder.name}.made-from.json")
    made_from = json.dumps(_made_from(engine, checkpoint), indent=2) + "\n"
    if folder.is_dir() and mark.is_file() and mark.read_text() == made_from:
        return folder
    print(f"preparing {engine.name} …", file=sys.stderr, flush=True)
    mark.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    command = _command(engine, checkpoint, folder)
    measure_command(command, log=work_dir / "logs" / f"prepare-{engine.name}.log")
    mark.write_text(made_from)
    return folder


def _command(engine: EngineUnderTest, checkpoint: Path, output: Path) -> list[str | Path]:
    if engine.family == "optimum":
        cli = ensure_peer("optimum").bin / "optimum-cli"
        task = "text2text-generation-with-past"
        return [cli, "export", "onnx", "--model", checkpoint, "--task", task, output]
    if engine.family == "ctranslate2":
        quantization = CTRANSLATE2_COMPUTE_TYPES[engine.precision]
        return [sys.executable, CONVERTER, checkpoint, output, "--quantization", quantization]
    cli = Path(sys.executable).with_name("pegasus-export")
    options = ["--target", "ort", "--precision", engine.precision, "--force", "--quiet"]
    return [cli, "--model", checkpoint, *options, "--output", output]


def _made_from(engine: EngineUnderTest, checkpoint: Path) -> dict[str, object]:
    shape = json.loads((checkpoint / "shape.json").read_text())
    return {"engine": engine.name, "shape": shape, "made_with": _made_with(engine)}


def _made_with(engine: EngineUnderTest) -> str:
    if engine.family == "optimum":
        return PEERS["optimum"].fingerprint()
    if engine.family == "ctranslate2":
        return f"ctranslate2 {metadata.version('ctranslate2')}"
    digest = hashlib.sha256()
    for root in EXPORTER_SOURCES:
        for source in sorted((REPOSITORY / root).rglob("*.py")):
            digest.update(source.relative_to(REPOSITORY).as_posix().encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()
