"""pegasus-serve among hostile clients: clear errors, sound answers beside them, nothing left.

A case is a hundred requests, drawn from all kinds, of eight clients at a time; in every tenth case
there are slow and silent ones beside them. Then nothing may run or wait, counters have to add up,
and the process may hold no more files, threads and memory than before.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from attack.bases import Bases
from attack.hosted_server import HostedServer, Usage
from attack.hostile_clients import CLIENTS, SLOW_CLIENTS, Sound
from attack.hostile_requests import CANARY, KINDS, Hostile
from attack.http_talk import Response, talk
from attack.outcome import Outcome, Verdict, announce, draw
from pegasus_runtime import Summarizer

__all__ = ["PART", "complain", "complain_of_log", "more_than", "prepare", "try_case"]

PART = "servers"

REQUESTS = 100  # of a case
_AT_A_TIME = 8
_SHARE_OF_SOUND = 0.4
_SLOW_EVERY = 10  # cases
_WARM_UP = 100
_MORE_BYTES = 60 * 2**20  # over what it had when it was warm: large bodies are read at a time
_MORE_FILES, _MORE_THREADS = 4, 4
_TRACES = (b"Traceback", b'File "/', b".py:")

_state: dict[str, Any] = {}


def prepare(bases: Bases) -> None:
    """Starts the server, which ends with this process, and warms it up."""
    texts = [bases.document(name).read_text("utf-8") for name in ("short", "other")]
    texts = [f"{CANARY} {text}" for text in texts]
    bundle = bases.bundle("pegasus")
    with Summarizer.load(bundle, threads=1, provider="cpu") as summarizer:
        summaries = {text: summarizer.summarize(text).text for text in texts}
    log = Path(mkdtemp(prefix="attack-server-")) / "log"
    _state.update(server=HostedServer(bundle, log), sound=Sound(summaries=summaries))
    _ask_all([draw(f"{PART} warm-up", 0, each) for each in range(_WARM_UP)], is_slow=False)
    _state["server"].wait_until_idle()
    _state["usage"] = _state["server"].usage()


def try_case(bases: Bases, folder: Path, seed: int, case: int) -> Outcome:
    """The requests, and what is left of them."""
    what = f"{REQUESTS} requests"
    announce(folder, what)
    is_slow = case % _SLOW_EVERY == 0
    rngs = [draw(f"{PART} {each}", seed, case) for each in range(REQUESTS)]
    complaints, kinds = _ask_all(rngs, is_slow=is_slow)
    verdict, found = _judge(complaints)
    words = f"{found}; {len(kinds)} kinds; {_state['server'].usage()}".removeprefix("; ")
    return Outcome(part=PART, seed=seed, case=case, verdict=verdict, what=what, found=words)


def _judge(complaints: list[str]) -> tuple[Verdict, str]:
    server: HostedServer = _state["server"]
    if server.process.poll() is not None:
        return Verdict.CRASH, f"the server ended with {server.process.returncode}"
    left = server.wait_until_idle()
    logged = complain_of_log(server.new_log())
    if any("Timeout" in each for each in complaints):
        return Verdict.HANG, "; ".join(complaints[:3])
    if logged or any("trace" in each for each in complaints):
        return Verdict.CRASH, "; ".join([*logged, *complaints][:3])
    if complaints:
        return Verdict.WRONG, f"{len(complaints)} are wrong: {'; '.join(complaints[:3])}"
    more = more_than(_state["usage"], server.usage())
    if left or more:
        return Verdict.LEFTOVER, "; ".join([*left, *more])
    return Verdict.RIGHT, ""


def _ask_all(rngs: list[random.Random], *, is_slow: bool) -> tuple[list[str], set[str]]:
    """What is wrong with the answers, and the kinds of request that there were."""
    kinds: set[str] = set()
    complaints: list[str] = []

    def note(name: str, ask: Callable[[], str]) -> None:
        kinds.add(name)
        try:
            complaint = ask()
        except Exception as err:  # whatever a client meets is to be told
            complaint = f"{type(err).__name__}: {err}"
        if complaint:
            complaints.append(f"{name}: {complaint}")

    port, sound = _state["server"].port, _state["sound"]

    def one(rng: random.Random) -> None:
        if rng.random() < _SHARE_OF_SOUND:
            name = rng.choice([*CLIENTS])
            note(name, partial(CLIENTS[name], port, rng, sound))
        else:
            name = rng.choice([*KINDS])
            note(name, lambda: _attack(port, KINDS[name](rng)))

    slow = [
        threading.Thread(target=note, args=[name, partial(ask, port, rngs[0], sound)])
        for name, ask in SLOW_CLIENTS.items()
        if is_slow
    ]
    for thread in slow:
        thread.start()
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(one, rngs))
    for thread in slow:
        thread.join()
    return complaints, kinds


def _attack(port: int, hostile: Hostile) -> str:
    most = 2 if hostile.may_be_two else 1
    return complain(hostile, talk(port, [hostile.data], most=most))


def complain(hostile: Hostile, responses: list[Response]) -> str:
    """What is wrong with the answers to it."""
    shown = hostile.data[:100]
    if not responses:
        return "" if hostile.may_close else f"no answer to {shown!r}"
    if len(responses) > 1:
        return f"{len(responses)} answers to {hostile.data[:300]!r}"
    response = responses[0]
    seen = f"status {response.status}, {response.body[:200]!r}, to {hostile.data[-150:]!r}"
    if any(trace in response.body for trace in _TRACES):
        return f"a trace: {seen}"
    if response.status not in hostile.statuses:
        return f"{seen}, expected {sorted(hostile.statuses)}"
    if response.status == 200 or not hostile.is_ours:
        return ""
    if CANARY.encode() in response.body:
        return f"text of the document: {seen}"
    return "" if _is_error(response) else f"no error in JSON: {seen}"


def _is_error(response: Response) -> bool:
    try:
        content: Any = response.json()
        error = content["error"]
        return response.is_json and set(content) == {"error"} and error["code"] and error["message"]
    except (ValueError, KeyError, TypeError):
        return False


def complain_of_log(text: str) -> list[str]:
    """Lines of JSON, none an error, none with text of a document."""
    found = []
    for line in text.splitlines():
        if CANARY in line:
            found.append(f"the log has text of a document: {line[:200]}")
        try:
            event = json.loads(line)["event"]
        except (ValueError, KeyError, TypeError):
            found.append(f"the log has a line of no event: {line[:300]}")
            continue
        if event == "error":
            found.append(f"the log has an error: {line[:600]}")
    return [f"{each} (times {count})" for each, count in Counter(found).items()]


def more_than(warm: Usage, now: Usage) -> list[str]:
    """What is more than it may be."""
    is_more = (
        now.files > warm.files + _MORE_FILES
        or now.threads > warm.threads + _MORE_THREADS
        or now.resident_bytes > warm.resident_bytes + _MORE_BYTES
    )
    return [f"{now}, when it was warm {warm}"] if is_more else []
