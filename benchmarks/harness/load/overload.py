"""More than a server can do: what it takes, what it refuses, and what that costs.

`flood` sends three times its capacity for a minute. `trickle` sends a few short documents while
others keep the queue full of long ones.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from harness.load.contenders import CONTENDERS
from harness.load.line_process import LineProcess
from harness.load.models import ServedModel
from harness.load.protocol import Answer, LoadReply, percentile, poisson_arrivals
from harness.load.server_process import ServerProcess
from harness.load.throughput import CLIENTS, Lab, load_of, say, warm_up
from harness.table import Cell, Table, columns_of

OURS = CONTENDERS[0]
TIMES = 3
MAX_QUEUE = 64
LARGEST_BATCH = 32
"""What may run beside those that wait: --batch-size."""
LOOK_S, MEMORY_EVERY_S = 0.25, 10.0
MIB = 2**20
LONG_CLIENTS, SHORT_RATE = 48, 2.0
SEED = 34
_GAUGE = re.compile(r"^(\w+)(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)


@dataclass(slots=True)
class Watch:
    """What a server says of itself, and what the system says of it, while load is on it."""

    server: ServerProcess
    most_waiting: float = 0.0
    resident_bytes: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until `stop`."""
        next_s = start_s = time.monotonic()
        while not self._over.wait(LOOK_S):
            try:
                self.most_waiting = max(
                    self.most_waiting, read_gauges(self.server)["pegasus_queue_documents"]
                )
            except (OSError, KeyError) as err:
                self.failures.append(f"{time.monotonic() - start_s:.0f} s: {err!r}")
            if time.monotonic() >= next_s:
                self.resident_bytes.append(self.server.resident_bytes())
                next_s += MEMORY_EVERY_S
        self.resident_bytes.append(self.server.resident_bytes())

    def stop(self) -> None:
        self._over.set()


def read_gauges(server: ServerProcess) -> dict[str, float]:
    """Of /metrics, by name; those with labels are added up."""
    found: dict[str, float] = {}
    for name, value in _GAUGE.findall(server.get("/metrics")[1].decode()):
        found[name] = found.get(name, 0.0) + float(value)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What came of too much."""

    seconds: float
    capacity: float
    kinds: int
    """Of documents, between which the Batcher is fair: their lengths, to powers of two."""
    reply: LoadReply
    most_waiting: float
    resident_bytes: Sequence[int]
    failures: Sequence[str]
    gauges: dict[str, float]
    """At the end, when nothing runs any more."""

    @property
    def refused(self) -> list[Answer]:
        return [each for each in self.reply.answers if each.status == 503]

    @property
    def bound_s(self) -> float:
        """Of an answer that is 200: what the queue and a batch take at the rate of the answers, if
        all that wait are of one kind, which gets no more of the engine than any other kind."""
        return self.kinds * (MAX_QUEUE + LARGEST_BATCH) / self.reply.per_second

    def faults(self) -> list[str]:
        """What is not as it has to be."""
        others = {each.status for each in self.reply.answers} - {200, 503}
        silent = sum(not each.retry_after for each in self.refused)
        p99 = percentile([each.seconds for each in self.reply.finished], 99)
        found = [f"/metrics failed at {each}" for each in self.failures]
        found += [f"status {each}" for each in sorted(others)]
        found += [f"{silent} of 503 without Retry-After"] if silent else []
        found += [f"p99 {p99:.2f} s is over {self.bound_s:.2f} s"] if p99 > self.bound_s else []
        if self.most_waiting > MAX_QUEUE:
            found.append(f"{self.most_waiting:g} waited, over --max-queue {MAX_QUEUE}")
        left = [name for name in LEFT if self.gauges.get(name)]
        found += [f"{name} is {self.gauges[name]:g} at the end" for name in left]
        return found


LEFT = ("pegasus_queue_documents", "pegasus_queue_tokens", "pegasus_running_documents")


def count_kinds(model: ServedModel) -> int:
    """Powers of two that the documents' tokens are below."""
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model.vocabulary))
    return len({(len(pieces.encode(text)) + 1).bit_length() for text in model.texts})


def measure_flood(model: ServedModel, lab: Lab, *, seconds: float) -> Flood:
    """The capacity for these documents, then ``TIMES`` as many at random times."""
    options = ("--max-queue", str(MAX_QUEUE), "--batch-size", str(LARGEST_BATCH))
    with OURS.start(model, threads=lab.threads, log_dir=lab.log_dir, options=options) as server:
        warm_up(OURS, model, server, lab)
        bodies = [OURS.body(model, text) for text in model.texts]
        capacity = lab.send(load_of(OURS, server, bodies, clients=CLIENTS)).per_second
        say(f"flood: capacity {capacity:.1f} documents/s, {TIMES} times that for {seconds:g} s")
        arrivals_s = poisson_arrivals(TIMES * capacity, seconds, seed=SEED)
        watch = Watch(server)
        thread = threading.Thread(target=watch.run)
        thread.start()
        try:
            sent = [bodies[i % len(bodies)] for i in range(len(arrivals_s))]
            reply = lab.send(load_of(OURS, server, sent, arrivals_s=arrivals_s))
        finally:
            watch.stop()
            thread.join()
        return Flood(
            seconds=seconds,
            capacity=capacity,
            kinds=count_kinds(model),
            reply=reply,
            most_waiting=watch.most_waiting,
            resident_bytes=watch.resident_bytes,
            failures=watch.failures,
            gauges=read_gauges(server),
        )


def flood_table(found: Flood) -> Table:
    """A row for each thing that was asked of it."""
    accepted = [each.seconds for each in found.reply.finished]
    refused = [each.seconds for each in found.refused]
    columns = columns_of("", "found", "expected")
    rows: list[tuple[Cell, ...]] = [
        ("arrivals", f"{len(found.reply.answers)} in {found.seconds:g} s", ""),
        ("capacity, 16 clients", f"{found.capacity:.1f} documents/s", ""),
        (
            "answered 200",
            f"{len(accepted)}, {found.reply.per_second:.1f} documents/s",
            "about the capacity",
        ),
        ("refused: 503 with Retry-After", str(sum(bool(x.retry_after) for x in found.refused)), ""),
        ("anything else", str(len(found.reply.answers) - len(accepted) - len(refused)), "0"),
        ("most that waited", f"{found.most_waiting:g}", f"at most {MAX_QUEUE}"),
        ("p50 of those answered", f"{percentile(accepted, 50):.2f} s", ""),
        (
            "p99 of those answered",
            f"{percentile(accepted, 99):.2f} s",
            f"at most {found.bound_s:.2f} s",
        ),
        ("p99 of those refused", f"{percentile(refused, 99):.3f} s" if refused else "", ""),
        (
            "memory, every 10 s",
            " ".join(f"{each / MIB:.0f}" for each in found.resident_bytes) + " MiB",
            "flat",
        ),
        ("waiting or running at the end", f"{sum(map(found.gauges.__getitem__, LEFT)):g}", "0"),
    ]
    return Table(columns=columns, rows=tuple(rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trickle:
    """Short documents, by themselves and among many long ones."""

    alone: LoadReply
    among: LoadReply
    long: LoadReply


def measure_trickle(model: ServedModel, lab: Lab, *, seconds: float) -> Trickle:
    """``LONG_CLIENTS`` clients each keep one of the longest documents in the queue; short ones
    come ``SHORT_RATE`` a second, at random."""
    ordered = sorted(model.texts, key=len)
    short, long = ordered[: max(1, len(ordered) // 8)], ordered[-max(1, len(ordered) // 8) :]
    arrivals_s = poisson_arrivals(SHORT_RATE, seconds, seed=SEED)
    log = lab.log_dir / "serving-second-generator.log"
    with (
        OURS.start(model, threads=lab.threads, log_dir=lab.log_dir) as server,
        LineProcess("harness.load.generator", log=log) as second,
        ThreadPoolExecutor(1) as pool,
    ):
        warm_up(OURS, model, server, lab)
        bodies = [OURS.body(model, short[i % len(short)]) for i in range(len(arrivals_s))]
        load = load_of(OURS, server, bodies, arrivals_s=arrivals_s)
        alone = lab.send(load)
        long_bodies = [OURS.body(model, text) for text in long]
        rate = lab.send(load_of(OURS, server, long_bodies * 2, clients=CLIENTS)).per_second
        many = int(rate * seconds * 1.2) + LONG_CLIENTS
        sent = [long_bodies[i % len(long_bodies)] for i in range(many)]
        flood = load_of(OURS, server, sent, clients=LONG_CLIENTS)
        under_way = pool.submit(second.ask, asdict(flood))
        time.sleep(LONG_CLIENTS / rate / 2)  # until the queue is there
        among = lab.send(load)
        return Trickle(alone=alone, among=among, long=LoadReply.from_json(under_way.result()))


def trickle_table(found: Trickle) -> Table:
    columns = columns_of("", "documents", "p50|s|3", "p95|s|3", "not answered")
    rows: list[tuple[Cell, ...]] = []
    for name, reply in (
        ("short ones by themselves", found.alone),
        (f"short ones among {LONG_CLIENTS} long ones", found.among),
        ("those long ones", found.long),
    ):
        seconds = [each.seconds for each in reply.finished]
        shown = (percentile(seconds, each) if seconds else None for each in (50, 95))
        rows.append((name, len(reply.answers), *shown, len(reply.answers) - len(seconds)))
    return Table(columns=columns, rows=tuple(rows))
