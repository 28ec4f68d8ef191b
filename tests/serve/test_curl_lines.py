"""Each curl line of docs/serving.md is run, and prints what stands below it: make serve-test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serve.running_server import run_server

if TYPE_CHECKING:
    from made_once import MadeOnce

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "serving.md").read_text("utf-8")
CHECKPOINT = REPOSITORY / "examples" / "checkpoints" / "pegasus-mini"
TOKEN = "c0ffee" * 8
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def curl_lines() -> list[tuple[str, str]]:
    """(command, what is shown below it)."""
    found = []
    for block in _BLOCK.findall(PAGE):
        for part in block.split("$ ")[1:]:
            command, _, shown = part.partition("\n")
            if command.startswith("curl "):
                found.append((command, shown))
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether it is the same, but for what … stands for, and for the line's end."""
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.fixture(scope="module")
def ports(made_once: MadeOnce, tiny_bundle: Callable[..., Path]) -> Iterator[dict[str, str]]:
    """The page's addresses -> those of servers that were started as it says."""
    mini = f"mini={made_once.export(model=str(CHECKPOINT)).bundle.folder}"
    topics = f"topics={tiny_bundle('BigBirdPegasusForSequenceClassification')}"
    answers = f"answers={tiny_bundle('BigBirdPegasusForQuestionAnswering')}"
    guarded = {**os.environ, "PEGASUS_SERVE_TOKEN": TOKEN}
    with (
        run_server(mini, topics, answers, "--threads", "1") as server,
        run_server(mini, "--threads", "1", environment=guarded) as other,
    ):
        yield {"http://127.0.0.1:8000/": server.url, "http://127.0.0.1:8001/": other.url}


def test_there_are_lines() -> None:
    assert len(curl_lines()) >= 14
    assert all(shown for _, shown in curl_lines())


@pytest.mark.parametrize(("command", "shown"), curl_lines())
def test_a_curl_line_prints_what_the_page_shows(
    command: str, shown: str, ports: dict[str, str]
) -> None:
    (address,) = [each for each in ports if each in command]
    result = subprocess.run(
        ["bash", "-c", command.replace(address, ports[address])],
        cwd=REPOSITORY,
        env={**os.environ, "TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert matches(shown, result.stdout), result.stdout


def test_what_is_shown_is_held_to() -> None:
    assert matches('{"a":…,"b":1}\n', '{"a":[1, 2],"b":1}')
    assert not matches('{"a":…,"b":1}', '{"a":[1, 2],"b":2}')
