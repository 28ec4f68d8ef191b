"""pegasus-serve as a process: how it starts, what it answers, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime.bundle import open_bundle
from pegasus_serve.process.command import TOKEN_VARIABLE, main

TEXT = tiny_sentences()[0]
BODY = {"inputs": TEXT, "parameters": {"max_new_tokens": 4}}
HELD = ("--max-wait-ms", "30000")
"""A document waits so long for others: it is under way until the server is told to end."""


class Process:
    """A server, and the lines that it has written."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pegasus_serve.process.command", *arguments, "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.address = self.wait_for("listening")["address"]

    def wait_for(self, event: str) -> dict[str, Any]:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("{") and json.loads(line)["event"] == event:
                found: dict[str, Any] = json.loads(line)
                return found
        raise AssertionError(f"it ended before {event}: {self.lines}")

    def ask(self, path: str, body: object = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"{self.address}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as err:
            return err.code, json.loads(err.read())

    def wait_until_running(self) -> None:
        until = time.monotonic() + 20
        while b"pegasus_http_requests_in_flight 1.0" not in self.metrics():
            assert time.monotonic() < until
            time.sleep(0.02)

    def metrics(self) -> bytes:
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=20) as answer:
            text: bytes = answer.read()
            return text

    def end(self) -> tuple[int, list[str]]:
        """Its exit code, and all its lines, once it has ended."""
        _, rest = self.process.communicate(timeout=20)
        return self.process.returncode, self.lines + rest.splitlines()


@pytest.fixture
def start(tiny_bundle: Callable[..., Path]) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def run(*arguments: str, environment: dict[str, str] | None = None) -> Process:
        bundle = f"tiny={tiny_bundle()}"
        process = Process(bundle, "--threads", "1", *arguments, environment=environment)
        started.append(process)
        return process

    yield run
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def test_it_serves_and_ends_in_good_order_at_ctrl_c(start: Callable[..., Process]) -> None:
    server = start(environment={TOKEN_VARIABLE: ""})
    assert server.ask("/health") == (200, {"status": "ok"})
    server.wait_for("ready")
    status, answer = server.ask("/v1/summarize", BODY)
    assert status == 200
    assert answer["model"] == "tiny"
    assert answer["results"][0]["token_ids"]
    server.process.send_signal(signal.SIGINT)
    code, lines = server.end()
    assert code == 0
    assert json.loads(lines[-1])["event"] == "ended"
    assert all(line.startswith("{") for line in lines)
    assert not any(TEXT[:20] in line for line in lines)


def test_at_sigterm_what_runs_is_finished_and_what_comes_is_refused(
    start: Callable[..., Process],
) -> None:
    server = start(*HELD, "--grace", "20")
    server.wait_for("ready")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.ask, "/v1/summarize", {**BODY, "timeout_s": 2})
        server.wait_until_running()
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("shutting_down")
        assert server.ask("/ready")[1]["status"] == "shutting_down"
        status, answer = server.ask("/v1/summarize", BODY)
        assert (status, answer["error"]["code"]) == (503, "shutting_down")
        assert running.result()[0] in (200, 503, 504)
    assert server.end()[0] == 0


def test_a_signal_at_the_very_start_is_an_end_in_good_order(
    tiny_bundle: Callable[..., Path],
) -> None:
    script = (
        "import signal, sys\n"
        "from pegasus_serve.telemetry import logs\n"
        "class Log(logs.Log):\n"
        "    def event(self, name, values=None):\n"
        "        super().event(name, values)\n"
        "        if name == 'listening':\n"
        "            signal.raise_signal(signal.SIGTERM)\n"
        "import pegasus_serve.app\n"
        "pegasus_serve.app.Log = Log\n"
        "from pegasus_serve.scripts import serve\n"
        "sys.argv[1:] = [sys.argv[1], '--threads', '1', '--port', '0']\n"
        "sys.exit(serve())"
    )
    command = [sys.executable, "-c", script, str(tiny_bundle())]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stderr.splitlines()[-1])["event"] == "ended"


def test_after_the_grace_what_runs_is_cut_off_and_told(start: Callable[..., Process]) -> None:
    server = start(*HELD, "--grace", "0.2")
    server.wait_for("ready")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.ask, "/v1/summarize", BODY)
        server.wait_until_running()
        server.process.send_signal(signal.SIGTERM)
        status, answer = running.result()
    assert (status, answer["error"]["code"]) == (503, "shutting_down")
    code, lines = server.end()
    assert code == 0
    assert any('"cut_off"' in line for line in lines)


def test_a_second_signal_ends_it_at_once(start: Callable[..., Process]) -> None:
    server = start(*HELD)
    server.wait_for("ready")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.ask, "/v1/summarize", BODY)
        server.wait_until_running()
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("shutting_down")
        server.process.send_signal(signal.SIGTERM)
        code, lines = server.end()
        assert running.exception() is not None
    assert code == 128 + signal.SIGTERM
    assert lines[-1] == "pegasus-serve: error: interrupted"


def test_an_engine_that_fails_ends_it_with_one_line(
    tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_bundle(), folder)
    graph = next(folder.glob("*encoder*.onnx"))
    graph.write_bytes(b"\0" * graph.stat().st_size)
    server = Process(str(folder))
    code, lines = server.end()
    assert code in (1, 2)
    errors = [line for line in lines if not line.startswith("{")]
    assert len(errors) == 1
    assert errors[0].startswith("pegasus-serve: error: ")
    assert "Traceback" not in "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/none"], "not a bundle: .*none is not a folder"),
        (["{folder}"], "has no manifest.json"),
        (["{bundle}", "{bundle}"], "two bundles are named bundle: give one another name, as in"),
        (["a b={bundle}"], "not a bundle"),
        (["{bundle}", "--timeout", "0"], "argument --timeout: '0', expected a number above 0"),
        (["{bundle}", "--grace", "x"], "argument --grace: 'x', expected a number from 0 up"),
        (["{bundle}", "--port", "70000"], "argument --port: '70000', expected an integer from 0"),
        (["{bundle}", "--token-file", "{folder}/none"], "the token cannot be read: No such file"),
        (["{bundle}", "--token-file", "{folder}/short"], "the token has 2 characters, expected"),
        (
            ["{bundle}", "--allow-origin", "example.org"],
            "allowed origin is 'example.org', expected",
        ),
        (["{bundle}", "--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
    ],
)
def test_what_is_unusable_ends_it_before_it_listens(
    arguments: list[str],
    message: str,
    tiny_bundle: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "short").write_text("ab\n")
    given = [each.format(folder=tmp_path, bundle=tiny_bundle()) for each in arguments]
    try:
        code = main(given)
    except SystemExit as err:
        code = int(str(err.code))
    assert code == 2
    import re

    *warnings, error = capsys.readouterr().err.splitlines()
    assert all("warning: no.such.host.invalid can be reached" in each for each in warnings)
    assert error.startswith("pegasus-serve: error: ")
    assert re.search(message, error), error


def test_a_port_in_use_is_one_line(
    tiny_bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([str(tiny_bundle()), "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"pegasus-serve: error: cannot listen on 127.0.0.1:{port}: Address already in use: name "
        "another --port or --host, or end what listens there\n"
    )


def test_a_bundle_that_is_for_no_task_of_these_is_refused(
    tiny_bundle: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_bundle("PegasusForCausalLM")
    assert open_bundle(folder).manifest.task == "text-generation"
    assert main([str(folder)]) == 2
    assert "a bundle for task 'text-generation', expected summarization" in capsys.readouterr().err


def test_without_its_libraries_it_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['fastapi'] = None\n"
        "from pegasus_serve.process.command import main\n"
        "sys.exit(main(['nothing']))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == (
        "pegasus-serve: error: fastapi is not installed, which serving needs: pip install "
        "'pegasus-edge[serve]'\n"
    )


def test_help_teaches_and_needs_no_library(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for word in ("examples:", "curl http://127.0.0.1:8000/v1/summarize", "exit codes:", "SIGTERM"):
        assert word in shown
