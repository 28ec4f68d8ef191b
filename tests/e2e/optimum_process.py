"""Optimum's environment, asked through one process: it has transformers 4.57, too."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from peers import find_peer

__all__ = ["AskOptimum", "ask_optimum"]

ANSWER = "answer: "  # how its line begins, as libraries print too
SERVE = f"""
import json, sys
for line in sys.stdin:
    script, request = json.loads(line)
    scope = dict(request=request)
    exec(script, scope)
    print({ANSWER!r} + json.dumps(scope["answer"]), flush=True)
"""
AskOptimum = Callable[[str, list[Any]], Any]


@pytest.fixture(scope="session")
def ask_optimum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AskOptimum]:
    """(script, its request) -> its answer, from one process: its imports take seconds."""
    peer = find_peer("optimum")
    if peer is None:
        if os.environ.get("PEGASUS_EDGE_PEERS") == "required":
            pytest.fail("Optimum's environment is missing: make test sets it up")
        pytest.skip("Optimum's environment is missing: python benchmarks/peers.py optimum")
    errors = tmp_path_factory.mktemp("optimum") / "errors.txt"
    with (
        errors.open("w") as file,
        subprocess.Popen(
            [peer.python, "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(script: str, request: list[Any]) -> Any:
            process.stdin.write(json.dumps([script, request]) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                if line.startswith(ANSWER):
                    return json.loads(line.removeprefix(ANSWER))
            pytest.fail(errors.read_text())

        yield ask
        process.stdin.close()
