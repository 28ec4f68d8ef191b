"""How late answers come when requests arrive at random, whatever became of those before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.load.contenders import CONTENDERS, PeerSetting
from harness.load.models import ServedModel
from harness.load.protocol import LoadReply, percentile, poisson_arrivals
from harness.load.throughput import Lab, load_of, say, warm_up
from harness.table import Cell, Table, columns_of

SHARES = (50, 80)
SEED = 21
COLUMNS = columns_of(
    *("", "arrivals/s||2", "requests", "p50|s|3", "p95|s|3", "p99|s|3", "not answered"),
    "sent late, p99|ms|1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One server at one rate."""

    title: str
    model: str
    share: int
    """Percent of what our server does with 16 clients."""
    rate: float
    reply: LoadReply

    def row(self) -> tuple[Cell, ...]:
        seconds = [each.seconds for each in self.reply.finished]
        late = [each.sent_s - each.scheduled_s for each in self.reply.answers]
        return (
            f"{self.title}, {self.share} %: {self.model}",
            self.rate,
            len(self.reply.answers),
            *(percentile(seconds, each) if seconds else None for each in (50, 95, 99)),
            len(self.reply.answers) - len(seconds),
            1e3 * percentile(late, 99),
        )


def measure_latency(
    model: ServedModel,
    lab: Lab,
    *,
    capacity: float,
    seconds: float,
    chosen: dict[str, PeerSetting],
    names: Sequence[str],
) -> list[Latency]:
    """Each server by itself, at shares of ``capacity`` documents a second, the same arrivals for
    all; latency is counted from the moment a request should have been sent."""
    found = []
    for contender in (each for each in CONTENDERS if each.name in names):
        with contender.start(
            model, threads=lab.threads, log_dir=lab.log_dir, setting=chosen.get(contender.name)
        ) as server:
            warm_up(contender, model, server, lab)
            for share in SHARES:
                rate = capacity * share / 100
                arrivals_s = poisson_arrivals(rate, seconds, seed=SEED)
                texts = [model.texts[i % len(model.texts)] for i in range(len(arrivals_s))]
                bodies = [contender.body(model, text) for text in texts]
                reply = lab.send(load_of(contender, server, bodies, arrivals_s=arrivals_s))
                found.append(
                    Latency(
                        title=contender.title,
                        model=model.name,
                        share=share,
                        rate=rate,
                        reply=reply,
                    )
                )
                say("  ".join(str(cell) for cell in found[-1].row()))
    return found


def latency_table(found: Sequence[Latency]) -> Table:
    return Table(columns=COLUMNS, rows=tuple(each.row() for each in found))
