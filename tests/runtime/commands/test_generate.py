"""pegasus-generate: what it prints where, and what it refuses."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import GenerationOptions, TextGenerator
from pegasus_runtime.commands import generate

Run = Callable[..., tuple[int, str, str]]
PROMPTS = [text[:20] for text in tiny_sentences()[:2]]
TOO_LONG = " ".join(tiny_sentences()[:30])
OPTIONS = GenerationOptions(max_new_tokens=8)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: object, stdin: str = "") -> Any:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        shared = ["--threads", "1", "--max-new-tokens", "8"]
        try:
            code = generate.main([*map(str, arguments), *shared])
        except SystemExit as ended:
            code = int(str(ended.code))
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path]) -> Path:
    return tiny_bundle("PegasusForCausalLM")


@pytest.fixture(scope="module")
def generator(bundle: Path) -> TextGenerator:
    return TextGenerator.load(bundle, threads=1)


def test_a_prompt_gets_a_line_with_what_follows(
    run: Run, bundle: Path, generator: TextGenerator, tmp_path: Path
) -> None:
    path = tmp_path / "prompt.txt"
    path.write_text(PROMPTS[1])
    texts = [each.text for each in generator.generate([*PROMPTS, PROMPTS[1]], OPTIONS)]
    expected = "".join(f"{text}\n" for text in texts)
    assert run(bundle, *PROMPTS, "--file", path) == (0, expected, "")
    assert run(bundle, stdin=PROMPTS[0]) == (0, f"{texts[0]}\n", "")
    without = generator.generate(PROMPTS[0], OPTIONS, add_special_tokens=False).text
    assert run(bundle, PROMPTS[0], "--no-eos") == (0, f"{without}\n", "")


@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_streamed_is_in_the_end_what_is_printed_otherwise(
    run: Run, bundle: Path, beams: int
) -> None:
    words = [bundle, *PROMPTS, "--num-beams", beams, "--no-eos"]
    assert run(*words, "--stream") == run(*words)
    code, out, err = run(*words, " ", "--stream", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    last = [record for record in records if "partial" not in record]
    whole = [json.loads(line) for line in run(*words, "--json")[1].splitlines()]
    assert [record["text"] for record in last] == [record["text"] for record in whole]
    assert beams > 1 or len(records) > 4
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = run(*words, "--stream", "--batch-size", 2)
    assert code == 2
    assert "--batch-size has no effect with --stream" in err


def test_results_come_as_json_with_all_that_is_known(
    run: Run, bundle: Path, generator: TextGenerator
) -> None:
    options = GenerationOptions(max_new_tokens=8, num_return_sequences=2, token_scores=True)
    found = generator.generate(PROMPTS[0], options)
    arguments = ("--json", "--num-return-sequences", 2, "--token-scores")
    code, out, err = run(bundle, PROMPTS[0], *arguments)
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert (record["file"], record["prompt"], record["text"]) == (
        "prompt 1",
        PROMPTS[0],
        found.text,
    )
    assert record["tokens"] == list(found.token_ids)
    assert record["token_scores"] == pytest.approx(found.token_scores)
    assert [each["text"] for each in record["alternatives"]] == [found.alternatives[0].text]
    assert {"score", "unknown_share", "seconds"} <= set(record)


def test_prompts_of_no_use_are_named_and_the_others_continued(
    run: Run, bundle: Path, generator: TextGenerator, tmp_path: Path
) -> None:
    code, out, err = run(bundle, "", PROMPTS[0], TOO_LONG, "--file", tmp_path / "none")
    assert (code, out) == (2, f"{generator.generate(PROMPTS[0], OPTIONS).text}\n")
    lines = [line.removeprefix("pegasus-generate: error: ") for line in err.splitlines()]
    assert lines[0].startswith(f"{tmp_path / 'none'}: cannot be read")
    assert lines[1].startswith("prompt 1: text is empty")
    assert lines[2].startswith("prompt 3: the prompt has")
    assert len(lines) == 3
    assert run(bundle, "--file", tmp_path / "none")[:2] == (2, "")


def test_text_that_the_tokenizer_does_not_know_is_warned_of(run: Run, bundle: Path) -> None:
    code, _, err = run(bundle, "\u4e2d\u6587" * 8)
    assert code == 0
    assert "prompt 1: warning: the tokenizer does not know 100% of its characters" in err


def test_bundles_of_other_tasks_and_options_of_no_use_are_one_line(
    run: Run, bundle: Path, tiny_bundle: Callable[..., Path]
) -> None:
    for arguments, message in (
        ([tiny_bundle(), "a"], "open it with Summarizer"),
        ([bundle, "a", "--top-k", "3"], "top_k 3 has no effect without sampling"),
        ([bundle, "a", "--decoder-prefix", "b"], "unrecognized arguments: --decoder-prefix"),
    ):
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err


def test_help_teaches(run: Run) -> None:
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(word in out for word in ("--file", "--no-eos", "--max-new-tokens", "Once upon"))
