"""The benchmark of servers: the generator of load, on servers of the tests, and its tables."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.load.contenders import CONTENDERS, PLAIN_SETTINGS, PeerSetting
from harness.load.generator import send_load
from harness.load.latency import Latency, latency_table
from harness.load.line_process import LineProcess
from harness.load.models import MINI, ServedModel, texts_of_lengths
from harness.load.overload import Flood, Trickle, count_kinds, flood_table, trickle_table
from harness.load.protocol import Answer, Load, LoadReply, percentile, poisson_arrivals
from harness.load.server_process import ServerProcess, free_port
from harness.load.throughput import ALONE, TOGETHER, Throughput, row_of, throughput_table
from harness.worker_process import WorkerError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def send_to(handler: Handler, **load: object) -> LoadReply:
    """The reply to a load on a server that is this handler."""

    async def run() -> LoadReply:
        async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await send_load(Load(port=port, path="/", **load))  # type: ignore[arg-type]

    return asyncio.run(run())


def answer_as(
    head: str, body: bytes = b"", *, after_s: float = 0.0, closes: bool = False
) -> Handler:
    """One request at a time, whatever its connection; each takes so long."""
    lock = asyncio.Lock()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            asked = await reader.readuntil(b"\r\n\r\n")
            length = next(x for x in asked.split(b"\r\n") if x.startswith(b"Content-Length: "))
            await reader.readexactly(int(length.split()[1]))
            async with lock:
                await asyncio.sleep(after_s)
            writer.write(head.encode() + body)
            await writer.drain()
            if closes:
                break
        writer.close()

    return handle


def ok(body: str = "{}") -> tuple[str, bytes]:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n", body.encode()


def test_latency_counts_from_when_a_request_should_have_been_sent() -> None:
    handler = answer_as(*ok(), after_s=0.2)
    reply = send_to(handler, bodies=["a"] * 4, arrivals_s=[0.0, 0.01, 0.02, 0.03])
    seconds = [each.seconds for each in reply.answers]
    assert [each.status for each in reply.answers] == [200] * 4
    for number, each in enumerate(seconds):
        assert each >= 0.2 * (number + 1) - 0.04  # those before it are waited for
    assert all(each.sent_s - each.scheduled_s < 0.15 for each in reply.answers)


def test_clients_wait_for_their_answer_before_they_ask_again() -> None:
    reply = send_to(answer_as(*ok('{"a": 1}'), after_s=0.05), bodies=["a"] * 6, clients=2)
    assert reply.seconds >= 0.29
    assert [each.body for each in reply.answers] == ['{"a": 1}'] * 6
    sent = sorted(each.sent_s for each in reply.answers)
    assert sent[2] >= 0.05
    assert reply.per_second == pytest.approx(6 / reply.seconds)


@pytest.mark.parametrize("closes", [True, False])
def test_an_answer_in_chunks_and_a_connection_that_is_closed(closes: bool) -> None:
    head = "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    handler = answer_as(head, b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", closes=closes)
    reply = send_to(handler, bodies=["x"] * 3, clients=1)
    assert [(x.status, x.body, x.retry_after) for x in reply.answers] == [(503, "abcde", "3")] * 3
    assert not reply.finished


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (answer_as("what?\r\n\r\n"), "this is no answer of HTTP/1"),
        (
            answer_as("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"a", closes=True),
            "Incomplete",
        ),
        (answer_as(*ok(), after_s=3.0), "TimeoutError"),
    ],
)
def test_what_is_no_answer_has_status_0_and_a_reason(handler: Handler, message: str) -> None:
    reply = send_to(handler, bodies=["x"], clients=1, timeout_s=0.3)
    assert reply.answers[0].status == 0
    assert message in reply.answers[0].body
    assert not reply.finished


def test_nobody_listens() -> None:
    reply = asyncio.run(send_load(Load(port=free_port(), path="/", bodies=["x"], clients=1)))
    assert "Connect" in reply.answers[0].body


def test_the_generator_is_a_process_and_the_null_server_answers_it(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "harness.load.null_server", str(port)]
    with (
        ServerProcess("null", command, port=port, ready="/", log=log) as server,
        LineProcess("harness.load.generator", log=log) as generator,
    ):
        asked = {"port": port, "path": "/", "bodies": ["abc"] * 50, "clients": 4}
        reply = LoadReply.from_json(generator.ask(asked))
        assert server.resident_bytes() > 2**20
    assert len(reply.finished) == 50
    assert 0 < reply.cpu_s <= reply.seconds * 1.2


def test_a_process_that_ends_is_told_with_its_last_line(tmp_path: Path) -> None:
    with (
        LineProcess("harness.load.generator", log=tmp_path / "log") as generator,
        pytest.raises(WorkerError, match=r"generator ended with exit status 1: .*bodies"),
    ):
        generator.ask({"port": 1, "path": "/"})


def test_a_server_that_does_not_start_is_told_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="x ended with exit status 3: oh"):
        ServerProcess(
            "x",
            [sys.executable, "-c", "print('oh'); raise SystemExit(3)"],
            port=free_port(),
            ready="/",
            log=tmp_path / "log",
        )


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ({"bodies": [], "clients": 1}, "bodies: expected one or more"),
        ({"bodies": ["a"]}, "clients is 0 and arrivals_s has 0 times: expected clients"),
        ({"bodies": ["a"], "clients": 1, "arrivals_s": [1.0]}, "clients is 1 and arrivals_s has 1"),
        ({"bodies": ["a"], "arrivals_s": [1.0, 2.0]}, "arrivals_s has 2 times for 1 bodies"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(load: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Load(port=1, path="/", **load)  # type: ignore[arg-type]


def test_arrivals_are_random_seeded_and_as_many_as_the_rate_says() -> None:
    times = poisson_arrivals(50.0, 40.0, seed=3)
    assert times == poisson_arrivals(50.0, 40.0, seed=3) != poisson_arrivals(50.0, 40.0, seed=4)
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < 40
    assert len(times) == pytest.approx(2000, rel=0.1)
    gaps = sorted(b - a for a, b in zip([0.0, *times], times, strict=False))
    assert gaps[len(gaps) // 2] == pytest.approx(0.0139, rel=0.15)  # ln 2 / rate: exponential
    assert poisson_arrivals(0.001, 1.0, seed=1) == [1.0]
    with pytest.raises(ValueError, match="rate is 0 and seconds 1, expected both above 0"):
        poisson_arrivals(0, 1, seed=1)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(each) for each in range(100, 0, -1)]
    assert [percentile(values, each) for each in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7.0], 50) == 7
    with pytest.raises(ValueError, match="values: expected one or more"):
        percentile([], 50)


def test_texts_have_the_lengths_that_were_asked_for() -> None:
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(MINI / "spiece.model"))
    wanted = [100, 333, 500]
    texts = texts_of_lengths(wanted, MINI / "spiece.model")
    for tokens, text in zip(wanted, texts, strict=True):
        assert tokens - 12 <= len(pieces.encode(text)) + 1 <= tokens
    assert len(set(texts)) == 3
    model = replace(make_model(texts), vocabulary=MINI / "spiece.model")
    assert count_kinds(model) == 2  # under 128, and under 512 twice


def make_model(texts: list[str]) -> ServedModel:
    return ServedModel(
        name="tiny",
        bundle=Path("bundle"),
        peer_folder=Path("peer"),
        compute_type="float32",
        vocabulary=Path("spiece.model"),
        texts=texts,
        beams=2,
        min_new_tokens=1,
        max_new_tokens=8,
        parameters={"num_beams": 2},
    )


def test_each_server_is_asked_in_its_own_words() -> None:
    ours, plain, _ = CONTENDERS
    model, found = make_model(["a text"]), '{"results": [{"text": "short"}]}'
    asked = json.loads(ours.body(model, "a text"))
    assert (asked["inputs"], asked["parameters"]) == ("a text", {"num_beams": 2})
    assert json.loads(plain.body(model, "a text")) == {"text": "a text"}
    answer = Answer(scheduled_s=0, sent_s=0, done_s=1, status=200, body=found)
    assert ours.text(answer) == "short"
    assert [each.title.split()[0] for each in CONTENDERS] == [
        "pegasus-edge,",
        "FastAPI,",
        "LitServe,",
    ]


def test_throughput_is_held_against_one_by_one_and_one_call() -> None:
    ours, plain, _ = CONTENDERS
    found = Throughput(generator_cpu_s={row_of(ours, 16): 0.1, row_of(plain, 16): 0.1})
    for row, seconds, last in (
        (TOGETHER, [1.0, 1.0, 5.0], "b"),
        (ALONE, [2.0, 2.0, 2.0], "b"),
        (row_of(ours, 16), [1.25, 1.25, 1.0], "b"),
        (row_of(plain, 16), [4.0, 4.0, 4.0], "c"),
    ):
        for each in seconds:
            found.note(row, each, ["a", last])
    found.chosen["fastapi"] = PLAIN_SETTINGS[1]
    table = throughput_table({"tiny": (make_model(["x", "y"]), found)})
    ours_row, plain_row = f"{row_of(ours, 16)}: tiny", f"{row_of(plain, 16)}: tiny"
    assert table.cell(ours_row, "documents/s") == pytest.approx(1.6)
    assert table.cell(ours_row, "x one by one") == pytest.approx(1.6)
    assert table.cell(ours_row, "x one call") == pytest.approx(0.8)
    assert table.cell(ours_row, "load's share of a core") == pytest.approx(10)
    assert (table.cell(ours_row, "texts differ"), table.cell(plain_row, "texts differ")) == (0, 1)
    assert table.cell(plain_row, "best setting") == "2 at a time"
    assert table.cell(ours_row, "best setting") == ""


def test_settings_of_peers_are_told_in_words() -> None:
    batches = PeerSetting(max_batch_size=8, batch_timeout_s=0.05)
    assert str(batches) == "batches of 8, 50 ms, all threads on one"
    assert str(PLAIN_SETTINGS[0]) == "all threads on one"


def make_reply(*answers: tuple[float, int, str], seconds: float = 2.0) -> LoadReply:
    """Of (time, status, Retry-After) each."""
    return LoadReply(
        seconds=seconds,
        cpu_s=0.1,
        answers=[
            Answer(
                scheduled_s=1.0, sent_s=1.001, done_s=1.0 + each, status=status, retry_after=retry
            )
            for each, status, retry in answers
        ],
    )


def test_latency_has_a_row_for_each_rate() -> None:
    reply = make_reply(*[(each / 100, 200, "") for each in range(1, 101)], (9.0, 0, ""))
    latency = Latency(title="FastAPI", model="tiny", share=80, rate=12.5, reply=reply)
    table = latency_table([latency])
    row = "FastAPI, 80 %: tiny"
    assert [table.cell(row, each) for each in ("p50", "p95", "p99")] == pytest.approx(
        [0.5, 0.95, 0.99]
    )
    assert (table.cell(row, "not answered"), table.cell(row, "arrivals/s")) == (1, 12.5)
    assert table.cell(row, "sent late, p99") == pytest.approx(1.0)


def make_flood(reply: LoadReply, **changes: object) -> Flood:
    still = dict.fromkeys(
        ("pegasus_queue_documents", "pegasus_queue_tokens", "pegasus_running_documents"), 0.0
    )
    usual = {"most_waiting": 64.0, "resident_bytes": [2**27], "failures": [], "gauges": still}
    return Flood(seconds=2.0, capacity=20.0, kinds=2, reply=reply, **usual | changes)  # type: ignore[arg-type]


def test_overload_that_is_borne_has_no_faults() -> None:
    answers = [(0.5, 200, "")] * 40 + [(0.01, 503, "2")] * 80
    flood = make_flood(make_reply(*answers))
    assert flood.bound_s == pytest.approx(9.6)
    assert flood.faults() == []
    table = flood_table(flood)
    assert table.cell("refused: 503 with Retry-After", "found") == "80"
    assert table.cell("anything else", "found") == "0"
    assert table.cell("memory, every 10 s", "found") == "128 MiB"


@pytest.mark.parametrize(
    ("answers", "changes", "fault"),
    [
        ([(0.1, 503, "")], {}, "1 of 503 without Retry-After"),
        ([(0.1, 500, "")], {}, "status 500"),
        ([(0.1, 0, "")], {}, "status 0"),
        ([(500.0, 200, "")], {}, "p99 500.00 s is over"),
        ([], {"most_waiting": 65.0}, "65 waited, over --max-queue 64"),
        ([], {"failures": ["3 s: gone"]}, "/metrics failed at 3 s: gone"),
        (
            [],
            {
                "gauges": {
                    "pegasus_queue_documents": 0.0,
                    "pegasus_queue_tokens": 0.0,
                    "pegasus_running_documents": 2.0,
                }
            },
            "pegasus_running_documents is 2 at the end",
        ),
    ],
)
def test_each_fault_of_overload_is_told(
    answers: list[tuple[float, int, str]], changes: dict[str, object], fault: str
) -> None:
    reply = make_reply((0.5, 200, ""), (0.4, 200, ""), *answers)
    found = make_flood(reply, **changes).faults()
    assert len(found) == 1
    assert fault in found[0]


def test_fairness_is_shown_in_three_rows() -> None:
    alone, among = make_reply((0.1, 200, "")), make_reply((0.3, 200, ""), (9.0, 503, "1"))
    table = trickle_table(Trickle(alone=alone, among=among, long=make_reply((4.0, 200, ""))))
    assert table.cell("short ones among 48 long ones", "p95") == pytest.approx(0.3)
    assert table.cell("short ones among 48 long ones", "not answered") == 1
    assert table.cell("those long ones", "p50") == pytest.approx(4.0)
