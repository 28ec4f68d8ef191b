"""pegasus-summarize --jsonl: what it takes, what it refuses, what it says at the end."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.commands.summarize import main

COMMAND = "pegasus-summarize"
TEXTS = tiny_sentences()[:8]
REFUSED: dict[str, str] = {
    "--resume": "--resume has no effect without --jsonl: add it",
    "--force": "--force has no effect without --jsonl",
    "--output a": "--output has no effect without --jsonl",
    "--failures a": "--failures has no effect without --jsonl",
    "--text-field a": "--text-field has no effect without --jsonl",
    "--output-field a": "--output-field has no effect without --jsonl",
    "--add score": "--add has no effect without --jsonl",
    "--workers 2": "--workers has no effect without --jsonl",
    "--window 2": "--window has no effect without --jsonl",
    "--jsonl --json": "--json does not go with --jsonl: leave one of them out",
    "--jsonl --stream": "--stream does not go with --jsonl",
    "--jsonl --verbose": "--verbose does not go with --jsonl",
    "--jsonl --resume": "--resume has no effect on standard output: name a file with --output",
    "--jsonl --force": "--force has no effect on standard output",
    "--jsonl a --output b --resume --force": "--resume goes on, and --force begins anew: leave",
    "--jsonl --output b --resume": "--resume reads its input again, which standard input cannot",
    "--jsonl --output -": "--output names a file: leave it out for standard output",
    "--jsonl - a -": "standard input is named twice, and can be read once",
    "--jsonl a.parquet": "Parquet is not for standard output: name a file with --output",
    "--jsonl a.parquet b.jsonl --output c.parquet": "some of the files are Parquet and some are",
    "--jsonl a.jsonl --output c.parquet": "some of the files are Parquet and some are not: conv",
    "--jsonl --workers 0": "argument --workers: '0', expected an integer from 1 up",
    "--jsonl --add scor": "'scor' cannot be added, expected some of score",
    "--jsonl --output-field text": "'text' would be the name of two fields",
    "--jsonl a --output b --resume --do-sample": "--resume goes on as if nothing had happened, and",
    "--jsonl --token-scores": "--token-scores has no effect without --add token_scores: add it",
}


class Runner:
    """Runs the command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.capsys, self.patch = capsys, patch

    def __call__(self, *arguments: object, stdin: bytes | None = None) -> tuple[int, str, str]:
        stream = None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin))
        self.patch.setattr(sys, "stdin", stream)
        try:
            code = main([*map(str, arguments), "--jsonl"])
        except SystemExit as ended:
            code = int(str(ended.code))
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Runner:
    return Runner(capsys, monkeypatch)


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path]) -> Path:
    return tiny_bundle()


def write(path: Path, texts: Sequence[str]) -> Path:
    lines = [json.dumps({"id": number, "text": text}) for number, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("arguments", REFUSED)
def test_options_that_do_not_go_together_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: str
) -> None:
    try:
        code = main(["bundle", *arguments.split()])
    except SystemExit as ended:
        code = int(str(ended.code))
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{COMMAND}: error: {REFUSED[arguments]}")


def test_the_summaries_are_those_of_the_summarizer(
    run: Runner, bundle: Path, tmp_path: Path
) -> None:
    source = write(tmp_path / "in.jsonl", TEXTS)
    words = [source, "--num-beams", 2, "--num-return-sequences", 2, "--token-scores"]
    more = "score, tokens,token_scores,truncated,unknown_share,looks_like_html,alternatives"
    code, out, err = run(bundle, *words, "--add", more, "--output-field", "short", "--threads", 1)
    assert (code, err) == (0, "")
    options = GenerationOptions(num_beams=2, num_return_sequences=2, token_scores=True)
    with Summarizer.load(bundle, threads=1) as summarizer:
        expected = summarizer.summarize(TEXTS, options)
    for number, (line, summary) in enumerate(zip(out.splitlines(), expected, strict=True)):
        record = json.loads(line)
        assert (record["id"], record["text"]) == (number, TEXTS[number])
        assert (record["short"], record["tokens"]) == (summary.text, list(summary.token_ids))
        assert record["alternatives"] == [summary.alternatives[0].text]
        assert record["score"] == pytest.approx(summary.score, rel=1e-4)
        assert record["token_scores"] == pytest.approx(summary.token_scores, rel=1e-3)
        assert (record["truncated"], record["unknown_share"]) == (False, 0.0)
        assert record["looks_like_html"] is False


def test_what_fails_is_told_and_the_others_go_on(run: Runner, bundle: Path, tmp_path: Path) -> None:
    long = " ".join(tiny_sentences() * 5)
    source = write(tmp_path / "in.jsonl", [TEXTS[0], "", long, "的" * 400, TEXTS[1]])
    output, failures = tmp_path / "out.jsonl", tmp_path / "bad.jsonl"
    words = [bundle, source, "--output", output, "--threads", 1]
    code, out, err = run(*words, "--failures", failures)
    assert (code, out) == (2, "")
    assert err == (
        f"{COMMAND}: {output}: 3 records written; 2 failed, see {failures}; 1 whose characters the "
        "tokenizer hardly knows, so that their summaries may be made up\n"
    )
    found = [json.loads(line) for line in failures.read_text("utf-8").splitlines()]
    assert [(each["line"], each["code"]) for each in found] == [(2, "input"), (3, "input")]
    assert [json.loads(line)["id"] for line in output.read_text("utf-8").splitlines()] == [0, 3, 4]
    assert run(*words)[2].startswith(f"{COMMAND}: error: {output}: it is there already: go on with")
    code, _, err = run(*words, "--force", "--truncate", "--max-unknown", 0.2)
    assert code == 2
    assert ": 3 records written; 2 failed, see " in err
    assert err.endswith("; 1 cut to what the model takes\n")
    code, _, err = run(*words, "--force", "--long", "chunk")
    assert code == 2
    assert ": 4 records written; 1 failed, see " in err
    write(source, [f"<p>{TEXTS[0]}</p>", f"{TEXTS[0]}\x1b[2J"])
    code, _, err = run(*words, "--force")
    assert code == 0
    assert err.endswith(
        "1 with HTML, which the model reads as words; 1 with characters that nobody sees\n"
    )


def test_lines_go_from_standard_input_to_standard_output(
    run: Runner, bundle: Path, tmp_path: Path
) -> None:
    data = write(tmp_path / "in.jsonl", TEXTS[:2]).read_bytes() + b"\nno json\n"
    code, out, err = run(bundle, "--window", "1", "--threads", "1", stdin=data)
    assert code == 2
    assert len(out.splitlines()) == 2
    assert err.splitlines() == [
        f"{COMMAND}: error: -: line 4: not JSON: Expecting value (character 0)",
        f"{COMMAND}: 1 failed; 1 blank lines skipped",
    ]
    failures = tmp_path / "bad.jsonl"
    run(bundle, "--failures", failures, "--threads", "1", stdin=data)
    assert json.loads(failures.read_text())["code"] == "not_json"
    for name in (failures, tmp_path / "in.jsonl"):  # what is there stays, the input, too
        before = name.read_bytes()
        code, _, err = run(bundle, tmp_path / "in.jsonl", "--failures", name, "--threads", "1")
        assert (code, name.read_bytes()) == (2, before)
        assert err.startswith(f"{COMMAND}: error: {name}: it is there already: delete it, or name")


def test_another_bundle_or_option_does_not_go_on_with_an_output(
    run: Runner, bundle: Path, tmp_path: Path
) -> None:
    source = write(tmp_path / "in.jsonl", TEXTS[:2])
    words = [source, "--output", tmp_path / "out.jsonl", "--threads", 1]
    assert run(bundle, *words, "--resume")[0] == 0
    data = (tmp_path / "out.jsonl").read_bytes()
    for other in (["--num-beams", 3], ["--window", 1], ["--text-field", "id"], ["--truncate"]):
        code, _, err = run(bundle, *words, "--resume", *other)
        assert code == 2
        assert "its run had another" in err
    twin = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    with (twin / "manifest.json").open("a") as manifest:
        manifest.write("\n")
    code, _, err = run(twin, *words, "--resume")
    assert (code, "another bundle" in err) == (2, True)
    assert run(bundle, *words, "--resume") == (
        0,
        "",
        f"{COMMAND}: {tmp_path / 'out.jsonl'}: 2 records written\n",
    )
    assert (tmp_path / "out.jsonl").read_bytes() == data


def test_workers_write_what_one_process_writes_and_go_with_ctrl_c(
    run: Runner, bundle: Path, tmp_path: Path
) -> None:
    source = write(tmp_path / "in.jsonl", TEXTS * 3)
    run(bundle, source, "--output", tmp_path / "one.jsonl", "--window", 4, "--threads", 1)
    words = [str(bundle), str(source), f"--output={tmp_path / 'two.jsonl'}", "--window=4"]
    words += ["--jsonl", "--workers=2", "--resume"]
    command = [sys.executable, "-m", "pegasus_runtime.commands.summarize", *words]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (tmp_path / "two.jsonl.resume").exists():
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) in (
        (130, f"{COMMAND}: error: interrupted: go on with --resume\n"),
        (0, f"{COMMAND}: {tmp_path / 'two.jsonl'}: 24 records written\n"),
    )
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 0
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


def test_a_terminal_is_told_how_far_it_is(bundle: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", TEXTS * 12)  # a second: the line needs a quarter of one
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    words = [str(bundle), str(source), "--jsonl", "--window=2", "--batch-size=1", "--num-beams=8"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pegasus_runtime.commands.summarize", *words],
        stdout=subprocess.DEVNULL,
        stderr=writing,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    os.close(writing)
    shown = b""
    try:
        while chunk := os.read(reading, 4096):
            shown += chunk
    except OSError:  # the terminal's other side has gone
        pass
    assert process.wait() == 0
    assert re.search(
        rb"\d+ of (about )?\d+ documents, [\d.]+ (a second|s each), 0:00:\d\d left", shown
    )
