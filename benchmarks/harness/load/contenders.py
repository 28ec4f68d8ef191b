"""The servers that are compared: how each is started, and what it is asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.load.ctranslate2_model import PeerSettings
from harness.load.models import ServedModel
from harness.load.protocol import Answer
from harness.load.server_process import ServerProcess, free_port
from peers import ensure_peer

OUR_SERVER = (sys.executable, "-c", "from pegasus_serve.scripts import serve; exit(serve())")
ASKED_TIMEOUT_S = 280.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSetting:
    """What a peer's server can be set to: the best is taken."""

    parallel_batches: int = 1
    max_batch_size: int = 1
    batch_timeout_s: float = 0.0

    def __str__(self) -> str:
        where = "2 at a time" if self.parallel_batches == 2 else "all threads on one"
        if self.max_batch_size == 1:
            return where
        return f"batches of {self.max_batch_size}, {self.batch_timeout_s * 1e3:g} ms, {where}"


PLAIN_SETTINGS = (PeerSetting(), PeerSetting(parallel_batches=2))
LITSERVE_SETTINGS = tuple(
    PeerSetting(parallel_batches=parallel, max_batch_size=size, batch_timeout_s=timeout_s)
    for parallel, size, timeout_s in (
        *((1, 8, 0.01), (1, 16, 0.01), (1, 16, 0.05)),
        *((2, 4, 0.01), (2, 8, 0.01), (2, 8, 0.05)),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A kind of server. title: as the tables have it."""

    name: str
    title: str
    path: str
    settings: Sequence[PeerSetting] = ()
    """To choose from; none for ours."""

    @property
    def is_ours(self) -> bool:
        return self.name == "pegasus-serve"

    def body(self, model: ServedModel, text: str) -> str:
        """The request for one document."""
        if not self.is_ours:
            return json.dumps({"text": text})
        asked = {"inputs": text, "parameters": model.parameters, "timeout_s": ASKED_TIMEOUT_S}
        return json.dumps(asked)

    def text(self, answer: Answer) -> str:
        """The summary of an answer 200."""
        content = json.loads(answer.body)
        return str(content["results"][0]["text"] if self.is_ours else content["text"])

    def start(
        self,
        model: ServedModel,
        *,
        threads: int,
        log_dir: Path,
        setting: PeerSetting | None = None,
        options: Sequence[str] = (),
    ) -> ServerProcess:
        """setting: of a peer. options: of ours. Raises: WorkerError."""
        port = free_port()
        if self.is_ours:
            command = our_command(model.bundle, port, threads=threads, options=options)
        else:
            command = peer_command(self.name, model, port, threads, setting or PeerSetting())
        ready = "/ready" if self.is_ours else "/health"
        log = log_dir / f"serving-{self.name}.log"
        return ServerProcess(self.name, command, port=port, ready=ready, log=log)


CONTENDERS = (
    Contender(name="pegasus-serve", title="pegasus-edge, pegasus-serve", path="/v1/summarize"),
    Contender(
        name="fastapi", title="FastAPI, CTranslate2", path="/predict", settings=PLAIN_SETTINGS
    ),
    Contender(
        name="litserve", title="LitServe, CTranslate2", path="/predict", settings=LITSERVE_SETTINGS
    ),
)


def our_command(
    bundle: Path, port: int, *, threads: int, options: Sequence[str] = ()
) -> list[str | Path]:
    """pegasus-serve on this port, with the sources of this tree."""
    command: list[str | Path] = [*OUR_SERVER, f"served={bundle}", "--host", "127.0.0.1"]
    return [*command, "--port", str(port), "--threads", str(threads), *options]


def peer_command(
    name: str, model: ServedModel, port: int, threads: int, setting: PeerSetting
) -> list[str | Path]:
    """threads: in all, shared out to the batches that run at a time."""
    settings = PeerSettings(
        port=port,
        folder=str(model.peer_folder.resolve()),
        vocabulary=str(model.vocabulary.resolve()),
        compute_type=model.compute_type,
        beams=model.beams,
        min_new_tokens=model.min_new_tokens,
        max_new_tokens=model.max_new_tokens,
        threads=max(1, threads // setting.parallel_batches),
        parallel_batches=setting.parallel_batches,
        max_batch_size=setting.max_batch_size,
        batch_timeout_s=setting.batch_timeout_s,
    )
    python = ensure_peer("litserve").python if name == "litserve" else sys.executable
    return [python, "-m", f"harness.load.{name}_server", json.dumps(asdict(settings))]
