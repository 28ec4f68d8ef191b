"""The model folder that each engine loads, exported or converted from one checkpoint.

Folders are kept between runs. A mark beside each says what it was made from and with; where that
has changed (our sources, a peer's version, the checkpoint, the sizes) the folder is made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from harness.engines import PLAN_MODULES, Engine
from harness.machine import REPOSITORY
from harness.measure_command import CommandError, measure_command
from harness.rounds import Timings
from peers import PEERS, ensure_peer

SOURCES = ("exporter", "engines", "plugins/pegasus_plugins", "runtime/pegasus_runtime/bundle")
CONVERTER = Path(__file__).resolve().with_name("ctranslate2_from_checkpoint.py")
OUR_EXPORT = (sys.executable, "-m", "pegasus_export.command.main")
TIME_ALIGNMENT = 8  # tokens; what tensor cores read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSizes:
    """What our plans are built for."""

    max_batch: int = 1
    beams: int = 8
    new_tokens: int = 64

    @property
    def max_target_tokens(self) -> int:
        """The start token, and the new ones, in whole pieces of eight."""
        length = 1 + self.new_tokens
        return length + -length % TIME_ALIGNMENT


USUAL_SIZES = PlanSizes()


def prepare_engines(
    engines: Iterable[Engine],
    checkpoint: Path,
    work_dir: Path,
    timings: Timings,
    sizes: PlanSizes = USUAL_SIZES,
) -> dict[str, Path]:
    """Engine name -> the folder that it loads, of those that can run here."""
    folders = {}
    for engine in engines:
        try:
            folders[engine.name] = prepare_engine(engine, checkpoint, work_dir, sizes)
        except CommandError as err:
            timings.drop(engine.name, str(err).splitlines()[-1])
    return folders


def prepare_engine(
    engine: Engine, checkpoint: Path, work_dir: Path, sizes: PlanSizes = USUAL_SIZES
) -> Path:
    """The folder that the engine's worker loads. Raises: CommandError."""
    if engine.family == "transformers":
        return checkpoint
    folder = work_dir / f"{checkpoint.name}-for-{engine.device}-{engine.name}"
    mark = folder.with_name(f"{folder.name}.made-from.json")
    made_from = json.dumps(_made_from(engine, checkpoint, sizes), indent=2) + "\n"
    if folder.is_dir() and mark.is_file() and mark.read_text() == made_from:
        return folder
    print(f"preparing {engine.name} …", file=sys.stderr, flush=True)
    mark.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    command = make_command(engine, checkpoint, folder, sizes)
    measure_command(command, log=work_dir / "logs" / f"prepare-{engine.name}.log")
    mark.write_text(made_from)
    return folder


def make_command(
    engine: Engine, checkpoint: Path, output: Path, sizes: PlanSizes
) -> list[str | Path]:
    """Of ours with plans: for the GPU that is here, and for just the sizes that are measured."""
    if engine.family == "optimum":
        return optimum_export(checkpoint, output)
    if engine.family == "ctranslate2":
        # On a GPU, weights in fp32 are converted when they are loaded.
        quantization = engine.compute_type if engine.device == "cpu" else "float32"
        return [sys.executable, CONVERTER, checkpoint, output, quantization]
    assert engine.target is not None
    command: list[str | Path] = [*OUR_EXPORT, "--model", checkpoint, "--output", output, "--quiet"]
    command += ["--force", "--target", engine.target, "--precision", engine.precision]
    if engine.target in PLAN_MODULES:
        command += ["--compute-capability", "current", "--num-beams", str(sizes.beams)]
        command += ["--max-batch", str(sizes.max_batch)]
        command += ["--max-target-tokens", str(sizes.max_target_tokens)]
    return command


def optimum_export(checkpoint: Path, output: Path) -> list[str | Path]:
    cli = ensure_peer("optimum").bin / "optimum-cli"
    task = "text2text-generation-with-past"
    return [cli, "export", "onnx", "--model", checkpoint, "--task", task, output]


def _made_from(engine: Engine, checkpoint: Path, sizes: PlanSizes) -> dict[str, object]:
    shape = json.loads((checkpoint / "shape.json").read_text())
    content = {"engine": engine.name, "shape": shape, "made_with": _made_with(engine)}
    return content | ({"sizes": asdict(sizes)} if engine.target in PLAN_MODULES else {})


def _made_with(engine: Engine) -> str:
    if engine.family == "optimum":
        return PEERS["optimum"].fingerprint()
    if engine.family == "ctranslate2":
        return f"ctranslate2 {metadata.version('ctranslate2')}"
    digest = hashlib.sha256()
    for root in SOURCES:
        for source in sorted((REPOSITORY / root).rglob("*.py")):
            digest.update(source.relative_to(REPOSITORY).as_posix().encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()
