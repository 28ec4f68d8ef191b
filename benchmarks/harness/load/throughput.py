"""Documents a second: without a server, and through each of them, in turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from harness.load.contenders import CONTENDERS, Contender, PeerSetting
from harness.load.line_process import LineProcess
from harness.load.models import ServedModel
from harness.load.protocol import Load, LoadReply
from harness.load.server_process import ServerProcess
from harness.rounds import SETTLE_S, busy_s
from harness.table import Cell, Table, columns_of
from harness.worker_process import WorkerError

CLIENTS = 16
TOGETHER, ALONE = "pegasus-edge, one call", "pegasus-edge, one by one"
COLUMNS = columns_of(
    *("", "documents/s||2", "x one by one||2", "x one call||2"),
    *("load's share of a core|%|1", "texts differ", "best setting"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """What all measurements share: the generator of load, threads of each engine, logs."""

    generator: LineProcess
    threads: int
    log_dir: Path

    def send(self, load: Load) -> LoadReply:
        return LoadReply.from_json(self.generator.ask(asdict(load)))


@dataclass(slots=True, kw_only=True)
class Throughput:
    """Of one model: row -> of every round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    generator_cpu_s: dict[str, float] = field(default_factory=dict)
    chosen: dict[str, PeerSetting] = field(default_factory=dict)
    """Server -> its setting that was fastest."""
    tried: dict[str, dict[str, float]] = field(default_factory=dict)
    """Server -> setting -> documents a second."""
    missing: dict[str, str] = field(default_factory=dict)
    other_cpu_s: float = 0.0
    """Processor time of everything but what was measured and the generator."""

    def note(self, row: str, seconds: float, texts: list[str]) -> None:
        self.seconds.setdefault(row, []).append(seconds)
        self.texts[row] = texts
        say(f"  {row}: {len(texts) / seconds:.2f} documents/s")


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def measure_throughput(model: ServedModel, lab: Lab, *, rounds: int, tuned_on: int) -> Throughput:
    """tuned_on: documents that the settings of the peers are chosen by."""
    found = Throughput()
    for contender in CONTENDERS[1:]:
        try:
            _choose_setting(contender, model, lab, found, model.texts[:tuned_on])
        except WorkerError as err:
            found.missing[contender.name] = str(err)
            say(f"not measured: {contender.name}: {err}")
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}, {model.name}")
        _measure_offline(model, lab, found)
        for contender in CONTENDERS:
            if contender.name in found.missing:
                continue
            setting = found.chosen.get(contender.name)
            with contender.start(
                model, threads=lab.threads, log_dir=lab.log_dir, setting=setting
            ) as server:
                warm_up(contender, model, server, lab)
                for clients in (1, CLIENTS) if contender.is_ours else (CLIENTS,):
                    _measure_clients(contender, model, server, lab, found, clients)
    return found


def warm_up(contender: Contender, model: ServedModel, server: ServerProcess, lab: Lab) -> None:
    """As many documents as there are clients, at most a quarter of all."""
    texts = model.texts[: max(2, min(CLIENTS, len(model.texts) // 4))]
    bodies = [contender.body(model, text) for text in texts]
    lab.send(load_of(contender, server, bodies, clients=CLIENTS))
    time.sleep(SETTLE_S)


def load_of(
    contender: Contender,
    server: ServerProcess,
    bodies: Sequence[str],
    *,
    clients: int = 0,
    arrivals_s: Sequence[float] = (),
) -> Load:
    return Load(
        port=server.port,
        path=contender.path,
        bodies=bodies,
        clients=clients,
        arrivals_s=arrivals_s,
        timeout_s=300.0,
    )


def _measure_offline(model: ServedModel, lab: Lab, found: Throughput) -> None:
    log = lab.log_dir / "serving-offline.log"
    arguments = (str(model.bundle.resolve()), str(lab.threads))
    with LineProcess("harness.load.offline_worker", *arguments, log=log) as worker:
        asked = {"texts": model.texts[:2], "parameters": model.parameters, "together": True}
        worker.ask(asked)
        for row, together in ((TOGETHER, True), (ALONE, False)):
            time.sleep(SETTLE_S)
            before_s = busy_s() - worker.cpu_s()
            reply = worker.ask(asked | {"texts": model.texts, "together": together})
            found.other_cpu_s += max(0.0, busy_s() - worker.cpu_s() - before_s)
            found.note(row, reply["seconds"], reply["texts"])


def _measure_clients(
    contender: Contender,
    model: ServedModel,
    server: ServerProcess,
    lab: Lab,
    found: Throughput,
    clients: int,
) -> None:
    bodies = [contender.body(model, text) for text in model.texts]
    before_s = busy_s() - server.cpu_s()
    reply = lab.send(load_of(contender, server, bodies, clients=clients))
    other_s = busy_s() - server.cpu_s() - before_s - reply.cpu_s
    found.other_cpu_s += max(0.0, other_s)
    bad = [each for each in reply.answers if not each.ok]
    if bad:
        message = f"{contender.name}: status {bad[0].status}: {bad[0].body[:200]}"
        raise WorkerError(f"{message}: see {server.log}")
    row = row_of(contender, clients)
    found.generator_cpu_s[row] = reply.cpu_s
    found.note(row, reply.seconds, [contender.text(each) for each in reply.answers])


def row_of(contender: Contender, clients: int) -> str:
    return f"{contender.title}, {clients} client{'s' if clients > 1 else ''}"


def _choose_setting(
    contender: Contender,
    model: ServedModel,
    lab: Lab,
    found: Throughput,
    texts: Sequence[str],
) -> None:
    tried: dict[PeerSetting, float] = {}
    bodies = [contender.body(model, text) for text in texts]
    for setting in contender.settings:
        with contender.start(
            model, threads=lab.threads, log_dir=lab.log_dir, setting=setting
        ) as server:
            warm_up(contender, model, server, lab)
            reply = lab.send(load_of(contender, server, bodies, clients=CLIENTS))
            tried[setting] = reply.per_second
            say(f"tuning: {contender.name}: {setting}: {reply.per_second:.2f} documents/s")
    found.chosen[contender.name] = max(tried, key=lambda each: tried[each])
    found.tried[contender.name] = {str(each): value for each, value in tried.items()}


def measure_null(lab: Lab, *, requests: int) -> LoadReply:
    """Load on a server that does nothing."""
    with ExitStack() as stack:
        from harness.load.server_process import free_port

        port = free_port()
        command = [sys.executable, "-m", "harness.load.null_server", str(port)]
        log = lab.log_dir / "serving-null.log"
        server = ServerProcess("null server", command, port=port, ready="/", log=log)
        stack.enter_context(server)
        bodies = ["x" * 1500] * requests
        return lab.send(Load(port=port, path="/", bodies=bodies, clients=CLIENTS))


def throughput_rows(model: ServedModel, found: Throughput) -> list[tuple[Cell, ...]]:
    """The rows of one model; rates are medians of the rounds."""
    rates = {row: len(model.texts) / median(each) for row, each in found.seconds.items()}
    rows: list[tuple[Cell, ...]] = []
    for row, rate in rates.items():
        cpu_s = found.generator_cpu_s.get(row)
        share = None if cpu_s is None else 100 * cpu_s / found.seconds[row][-1]
        setting = next((str(found.chosen[x.name]) for x in CONTENDERS if _is_of(row, x, found)), "")
        pairs = zip(found.texts[row], found.texts[TOGETHER], strict=True)
        differ = sum(text != other for text, other in pairs)
        ratios = (rate / rates[ALONE], rate / rates[TOGETHER])
        rows.append((f"{row}: {model.name}", rate, *ratios, share, differ, setting))
    return rows


def _is_of(row: str, contender: Contender, found: Throughput) -> bool:
    return row.startswith(contender.title) and contender.name in found.chosen


def throughput_table(found: Mapping[str, tuple[ServedModel, Throughput]]) -> Table:
    rows = [row for model, each in found.values() for row in throughput_rows(model, each)]
    return Table(columns=COLUMNS, rows=tuple(rows))
