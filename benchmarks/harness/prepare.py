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

from harness.engines import PLAN_MODULES, WITH_VENVS, Engine
from harness.machine import REPOSITORY
from harness.measure_command import CommandError, measure_command
from harness.rounds import Timings
from peers import PEERS, ensure_peer

SOURCES = ("exporter", "engines", "plugins/pegasus_plugins", "runtime/pegasus_runtime/bundle")
CONVERTER = Path(__file__).resolve().with_name("ctranslate2_from_checkpoint.py")
OUR_EXPORT = (sys.executable, "-m", "pegasus_export.command.main")
OUR_BUILD = (sys.executable, "-m", "pegasus_engines.command.build")
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
    folder = _folder_of(engine, checkpoint, work_dir)
    wanted = made_from(engine, checkpoint, sizes)
    if folder.is_dir() and _mark(folder) == wanted:
        return folder
    print(f"preparing {engine.name} …", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    command = choose_command(engine, checkpoint, work_dir, sizes)
    _make(folder, command, wanted, log=work_dir / "logs" / f"prepare-{engine.name}.log")
    return folder


def prepare_graphs(
    engine: Engine, checkpoint: Path, work_dir: Path, sizes: PlanSizes = USUAL_SIZES
) -> Path:
    """What `prepare_engine` builds plans of where they are; the export, which takes minutes, needs
    no GPU. Raises: CommandError."""
    graphs = graphs_folder(engine, checkpoint, work_dir)
    wanted = made_from(engine, checkpoint, sizes)
    if not graphs.is_dir() or _mark(graphs) != wanted:
        command = graphs_command(engine, checkpoint, work_dir, sizes)
        _make(graphs, command, wanted, log=work_dir / "logs" / f"prepare-{graphs.name}.log")
    return graphs


def choose_command(
    engine: Engine, checkpoint: Path, work_dir: Path, sizes: PlanSizes
) -> list[str | Path]:
    """That of `prepare_engine`: plans are built of graphs that were made beforehand."""
    folder, graphs = (find(engine, checkpoint, work_dir) for find in (_folder_of, graphs_folder))
    if engine.target in PLAN_MODULES and _mark(graphs) == made_from(engine, checkpoint, sizes):
        command: list[str | Path] = [*OUR_BUILD, graphs, "--output", folder]
        return [*command, "--compute-capability", "current", "--force", "--quiet"]
    return make_command(engine, checkpoint, folder, sizes)


def graphs_command(
    engine: Engine, checkpoint: Path, work_dir: Path, sizes: PlanSizes
) -> list[str | Path]:
    """That of `prepare_graphs`, of an engine with plans."""
    graphs = graphs_folder(engine, checkpoint, work_dir)
    command = make_command(engine, checkpoint, graphs, sizes)
    at = command.index("--compute-capability")
    return [*command[:at], "--onnx-only", *command[at + 2 :]]


def graphs_folder(engine: Engine, checkpoint: Path, work_dir: Path) -> Path:
    """Where `prepare_graphs` writes."""
    return work_dir / f"{_folder_of(engine, checkpoint, work_dir).name}-graphs"


def _folder_of(engine: Engine, checkpoint: Path, work_dir: Path) -> Path:
    return work_dir / f"{checkpoint.name}-for-{engine.device}-{engine.model or engine.name}"


def _mark_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.made-from.json")


def _mark(folder: Path) -> str | None:
    path = _mark_file(folder)
    return path.read_text() if path.is_file() else None


def _make(folder: Path, command: list[str | Path], mark: str, *, log: Path) -> None:
    """The mark is written last. Raises: CommandError."""
    _mark_file(folder).unlink(missing_ok=True)
    measure_command(command, log=log)
    _mark_file(folder).write_text(mark)


def make_command(
    engine: Engine, checkpoint: Path, output: Path, sizes: PlanSizes
) -> list[str | Path]:
    """Of ours with plans: for the GPU that is here, and for just the sizes that are measured."""
    if engine.family == "optimum":
        return optimum_export(checkpoint, output)
    if engine.family == "openvino":
        return openvino_export(checkpoint, output, engine.precision)
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


def openvino_export(checkpoint: Path, output: Path, precision: str) -> list[str | Path]:
    """precision: of weights; in int8 each row has a scale and a zero point, and no data is used."""
    cli = ensure_peer("openvino").bin / "optimum-cli"
    task = "text2text-generation-with-past"
    command: list[str | Path] = [cli, "export", "openvino", "--model", checkpoint, "--task", task]
    return [*command, "--weight-format", precision, output]


def made_from(engine: Engine, checkpoint: Path, sizes: PlanSizes) -> str:
    """What a folder's mark says."""
    shape = json.loads((checkpoint / "shape.json").read_text())
    content: dict[str, object] = {"engine": engine.model or engine.name, "shape": shape}
    content["made_with"] = _made_with(engine)
    content |= {"sizes": asdict(sizes)} if engine.target in PLAN_MODULES else {}
    return json.dumps(content, indent=2) + "\n"


def _made_with(engine: Engine) -> str:
    if engine.family in WITH_VENVS:
        return PEERS[engine.family].fingerprint()
    if engine.family == "ctranslate2":
        return f"ctranslate2 {metadata.version('ctranslate2')}"
    digest = hashlib.sha256()
    for root in SOURCES:
        for source in sorted((REPOSITORY / root).rglob("*.py")):
            digest.update(source.relative_to(REPOSITORY).as_posix().encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()
