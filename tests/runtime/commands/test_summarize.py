"""pegasus-summarize: what it prints where, and what it says when it cannot."""

import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import GenerationOptions, Summarizer, Summary
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS, SCHEMA_VERSION
from pegasus_runtime.commands.options import make_parser
from pegasus_runtime.commands.summarize import main

COMMAND = [sys.executable, "-m", "pegasus_runtime.commands.summarize"]
PREFIX = "pegasus-summarize: "
TOLERANCE = 1e-4
FIRST = tiny_sentences()[3]  # a long summary, which most options change
SECOND = tiny_sentences()[1]  # a short one, which those for length change
THIRD = tiny_sentences()[31]  # one that depends on when the search stops

# Options as arguments -> as GenerationOptions. Each changes a summary of FIRST or SECOND.
MANY_IDS = tuple(range(106, 180))
MANY = ",".join(map(str, MANY_IDS))
OPTIONS: dict[str, dict[str, Any]] = {
    "--num-beams 2": {"num_beams": 2},
    "--max-length 8": {"max_length": 8},
    "--max-new-tokens 9": {"max_new_tokens": 9},
    "--length-penalty 2.5": {"length_penalty": 2.5},
    "--min-length 20": {"min_length": 20},
    "--min-new-tokens 20": {"min_new_tokens": 20},
    "--no-repeat-ngram-size 1": {"no_repeat_ngram_size": 1},
    "--encoder-no-repeat-ngram-size 1": {"encoder_no_repeat_ngram_size": 1},
    "--repetition-penalty 2.5": {"repetition_penalty": 2.5},
    f"--suppress-tokens {MANY}": {"suppress_tokens": MANY_IDS},
    f"--begin-suppress-tokens {MANY}": {"begin_suppress_tokens": MANY_IDS},
    "--bad-words-ids 166 --bad-words-ids 106,106": {"bad_words_ids": [[166], [106, 106]]},
    "--forced-bos-token-id 120": {"forced_bos_token_id": 120},
    "--forced-eos-token-id 121": {"forced_eos_token_id": 121},
    "--num-beams 1 --do-sample --seed 3": {"num_beams": 1, "do_sample": True, "seed": 3},
    "--num-beams 1 --do-sample --seed 4 --temperature 3": {
        "num_beams": 1,
        "do_sample": True,
        "seed": 4,
        "temperature": 3.0,
    },
    "--num-beams 1 --do-sample --seed 5 --temperature 9 --top-k 2": {
        "num_beams": 1,
        "do_sample": True,
        "seed": 5,
        "temperature": 9.0,
        "top_k": 2,
    },
    "--num-beams 1 --do-sample --seed 6 --temperature 9 --top-p 0.1 --top-k 0": {
        "num_beams": 1,
        "do_sample": True,
        "seed": 6,
        "temperature": 9.0,
        "top_p": 0.1,
        "top_k": 0,
    },
    "--do-sample --seed 7 --temperature 2": {"do_sample": True, "seed": 7, "temperature": 2.0},
    "--do-sample --seed 9 --temperature 4 --min-p 0.6": {
        "do_sample": True,
        "seed": 9,
        "temperature": 4.0,
        "min_p": 0.6,
    },
    "--do-sample --seed 8 --top-h 0.1": {"do_sample": True, "seed": 8, "top_h": 0.1},
    "--do-sample --seed 8 --typical-p 0.1": {"do_sample": True, "seed": 8, "typical_p": 0.1},
    "--do-sample --seed 8 --epsilon-cutoff 0.5": {
        "do_sample": True,
        "seed": 8,
        "epsilon_cutoff": 0.5,
    },
    "--do-sample --seed 8 --eta-cutoff 0.5": {"do_sample": True, "seed": 8, "eta_cutoff": 0.5},
    "--encoder-repetition-penalty 3": {"encoder_repetition_penalty": 3.0},
    "--exponential-decay-length-penalty 0,1.8": {"exponential_decay_length_penalty": (0, 1.8)},
    "--sequence-bias 106=-9 --sequence-bias 106,107=2.5": {
        "sequence_bias": {(106,): -9.0, (106, 107): 2.5}
    },
    "--decoder-input-ids 120,121": {"decoder_input_ids": [120, 121]},
}
# Arguments -> what the one line says.
BAD_OPTIONS: dict[str, str] = {
    "--num-beams 2 --num-return-sequences 3": "num_return_sequences is 3, expected at most num_be",
    "--decoder-input-ids 120 --max-length 2": "decoder_input_ids has 2 tokens with the start",
    "--min-p 0.5": "min_p 0.5 has no effect without sampling: set do_sample=True",
    "--temperature 0.5": "temperature 0.5 has no effect without sampling: set do_sample=True",
    "--top-k 5": "top_k 5 has no effect without sampling",
    "--top-p 0.5": "top_p 0.5 has no effect without sampling",
    "--top-p 2": "top_p is 2.0, expected a number from 0 to 1: correct it or leave it out",
    "--num-beams 0": "num_beams is 0, expected an integer from 1 up: correct it or leave it out",
    "--num-beams 33": "num_beams is 33, the bundle takes 32: ask for fewer beams",
    "--max-length 1": "max_length is 1, expected an integer from 2 up",
    "--max-length 97": "max_length is 97 tokens with the start token, the bundle takes 96",
    "--length-penalty nan": "length_penalty is nan, expected a finite number",
    "--repetition-penalty 0": "repetition_penalty is 0.0, expected a number from 1e-06 to 1e+06",
    "--do-sample --temperature 1e-38": "temperature is 1e-38, expected a number from 1e-09 to 1e",
    "--repetition-penalty 1e-300": "repetition_penalty is 1e-300, expected a number from 1e-06",
    "--provider tensorrt": "provider 'tensorrt' is not offered for target 'ort': use one of auto",
    "--kernel-cache k": "a kernel cache is for TensorRT for RTX, which does not run ",
    "--seed -1": "seed is -1, expected an integer from 0 up",
}
BAD_ARGUMENTS: dict[str, str] = {
    "--num-beams two": "argument --num-beams: invalid int value: 'two'",
    "--length-penalty much": "argument --length-penalty: invalid float value: 'much'",
    "--early-stopping maybe": "argument --early-stopping: 'maybe', expected true, false or never",
    "--suppress-tokens a,b": "argument --suppress-tokens: 'a,b', expected token ids such as",
    "--sequence-bias 5": "argument --sequence-bias: '5', expected IDS=X such as 413,615=-2.5",
    "--exponential-decay-length-penalty 5": "argument --exponential-decay-length-penalty: '5', exp",
    "--decoder-prefix A --decoder-input-ids 5": "argument --decoder-input-ids: not allowed with ar",
    "--threads 0": "argument --threads: '0', expected an integer from 1 up",
    "--threads -1": "argument --threads: '-1', expected an integer from 1 up",
    "--threads 1025": "argument --threads: '1025', expected an integer from 1 to 1024",
    "--threads 2147483648": "argument --threads: '2147483648', expected an integer from 1 to 1024",
    "--threads two": "argument --threads: 'two', expected an integer from 1 up",
    "--batch-size 0": "argument --batch-size: '0', expected an integer from 1 up",
    "--newlines unix": "argument --newlines: invalid choice: 'unix' (choose from",
    "--early-stopping nevr": "argument --early-stopping: 'nevr', expected true, false or never: d",
    "--beams 4": "unrecognized arguments: --beams",
    "--num 4": "unrecognized arguments: --num",  # no abbreviations: they break when options come
    "--trunkate": "unrecognized arguments: --trunkate: did you mean --truncate? see pegasus-",
}


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path]) -> Path:
    return tiny_bundle()


@pytest.fixture(scope="module")
def summarizer(bundle: Path) -> Iterator[Summarizer]:
    with Summarizer.load(bundle, threads=1) as summarizer:
        yield summarizer


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


@pytest.fixture
def article(tmp_path: Path) -> Path:
    return write(tmp_path / "article.txt", FIRST)


class Runner:
    """Runs the command in this process, on one thread."""

    def __init__(self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.capsys, self.patch = capsys, patch

    def __call__(self, *arguments: object, stdin: bytes | None = None) -> tuple[int, str, str]:
        stream = None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin))
        self.patch.setattr(sys, "stdin", stream)
        try:
            code = main([*map(str, arguments), *([] if "--threads" in arguments else ONE_THREAD)])
        except SystemExit as ended:
            code = int(str(ended.code))
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err


ONE_THREAD = ["--threads", "1"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Runner:
    return Runner(capsys, monkeypatch)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def start(*arguments: object, **streams: Any) -> "subprocess.Popen[str]":
    command = [*COMMAND, *map(str, arguments), *ONE_THREAD]
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    given |= {"stderr": subprocess.PIPE} | streams
    return subprocess.Popen(command, text=True, encoding="utf-8", **given)


def only_error(result: tuple[int, str, str], code: int = 2) -> str:
    """The error's line, checking that it is the only thing printed."""
    found_code, out, err = result
    assert (found_code, out) == (code, "")
    assert err.startswith(f"{PREFIX}error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err.removeprefix(f"{PREFIX}error: ").rstrip("\n")


def assert_same(record: dict[str, Any], summary: Summary) -> None:
    assert record["text"] == summary.text
    assert record["tokens"] == list(summary.token_ids)
    assert record["score"] == pytest.approx(summary.score, rel=TOLERANCE)
    assert record["truncated"] == summary.truncated


# What is printed.


def test_a_file_gives_a_line(
    run: Runner, bundle: Path, article: Path, summarizer: Summarizer
) -> None:
    assert run(bundle, article) == (0, summarizer.summarize(FIRST).text + "\n", "")


@pytest.mark.parametrize("files", [[], ["-"]])
def test_standard_input_gives_a_line(
    run: Runner, bundle: Path, summarizer: Summarizer, files: Sequence[str]
) -> None:
    expected = summarizer.summarize(SECOND).text + "\n"
    assert run(bundle, *files, stdin=SECOND.encode()) == (0, expected, "")


def test_a_byte_order_mark_is_no_text(run: Runner, bundle: Path, summarizer: Summarizer) -> None:
    expected = summarizer.summarize(SECOND).text + "\n"
    assert run(bundle, stdin=b"\xef\xbb\xbf" + SECOND.encode()) == (0, expected, "")


def test_files_are_printed_in_their_order_whatever_the_batches(
    run: Runner, bundle: Path, tmp_path: Path, summarizer: Summarizer
) -> None:
    documents = [" ".join(FIRST.split()[: 2 + n % 5]) for n in range(7)]
    files = [write(tmp_path / f"{n}.txt", text) for n, text in enumerate(documents)]
    expected = [summary.text for summary in summarizer.summarize([*documents, SECOND])]
    for size in (1, 3, 8):
        code, out, err = run(bundle, *files, "-", "--batch-size", size, stdin=SECOND.encode())
        assert (code, err) == (0, "")
        assert out.splitlines() == expected


def test_a_document_may_come_through_a_pipe_that_is_read_once(
    run: Runner, bundle: Path, article: Path, tmp_path: Path, summarizer: Summarizer
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(SECOND,))
    writer.start()
    code, out, err = run(bundle, article, pipe)
    writer.join()
    assert (code, err) == (0, "")
    assert out.splitlines() == [each.text for each in summarizer.summarize([FIRST, SECOND])]


def test_documents_far_apart_run_together(run: Runner, bundle: Path, tmp_path: Path) -> None:
    """Lengths alternate, yet the time of a batch, shared out, shows which were in it."""
    texts = [FIRST if number % 2 else "A boat." for number in range(24)]
    files = [write(tmp_path / f"{n}.txt", text) for n, text in enumerate(texts)]
    _, out, _ = run(bundle, *files, "--json", "--batch-size", 12)
    seconds = [json.loads(line)["seconds"] for line in out.splitlines()]
    assert len(set(seconds[::2])) == len(set(seconds[1::2])) == 1


def test_json_is_an_object_per_line(
    run: Runner, bundle: Path, article: Path, summarizer: Summarizer
) -> None:
    code, out, err = run(bundle, article, "-", "--json", stdin=SECOND.encode())
    first, second = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert list(first) == [
        "file",
        "text",
        "score",
        "tokens",
        "truncated",
        "unknown_share",
        "control_characters",
        "looks_like_html",
        "seconds",
    ]
    assert (first["file"], second["file"]) == (str(article), "standard input")
    assert first["seconds"] > 0
    for record, text in ((first, FIRST), (second, SECOND)):
        assert_same(record, summarizer.summarize(text))


def test_json_has_the_alternatives(
    run: Runner, bundle: Path, article: Path, summarizer: Summarizer
) -> None:
    _, out, _ = run(bundle, article, "--json", "--num-beams", 3, "--num-return-sequences", 3)
    record = json.loads(out)
    options = GenerationOptions(num_beams=3, num_return_sequences=3)
    summary = summarizer.summarize(FIRST, options)
    assert len(record["alternatives"]) == 2
    for found, expected in zip(
        [record, *record["alternatives"]], [summary, *summary.alternatives], strict=True
    ):
        assert_same(found, expected)


def test_alternatives_are_lines_of_their_own(
    run: Runner, bundle: Path, article: Path, summarizer: Summarizer
) -> None:
    _, out, _ = run(bundle, article, "--num-return-sequences", 2)
    summary = summarizer.summarize(FIRST, GenerationOptions(num_return_sequences=2))
    assert out.splitlines() == [summary.text, summary.alternatives[0].text]


def test_a_summary_with_newlines_is_still_one_line(run: Runner, bundle: Path) -> None:
    code, out, _ = run(bundle, "--newlines", "original", "--json", stdin=FIRST.encode())
    text = json.loads(out)["text"]
    assert "\n" in text  # the tiny model likes <n>
    expected = " ".join(text.split("\n")) + "\n"
    assert run(bundle, "--newlines", "original", stdin=FIRST.encode()) == (code, expected, "")


@pytest.mark.parametrize("options", ["--num-beams 1", "", "--num-return-sequences 2"])
def test_what_is_streamed_is_in_the_end_what_is_printed_otherwise(
    run: Runner, bundle: Path, tmp_path: Path, options: str
) -> None:
    paths = [write(tmp_path / f"{n}.txt", text) for n, text in enumerate((FIRST, SECOND))]
    words = [bundle, *paths, "--newlines", "original", *options.split()]
    expected = run(*words)
    assert expected[0] == 0
    assert run(*words, "--stream") == expected
    code, out, _ = run(*words, "--stream", "--json")
    _, whole, _ = run(*words, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    last = [record for record in records if "partial" not in record]
    for record, alone in zip(last, map(json.loads, whole.splitlines()), strict=True):
        assert {**record, "seconds": 0} == {**alone, "seconds": 0}
        partials = [each for each in records if each["file"] == record["file"]][:-1]
        assert all(record["text"].startswith(each["partial"]) for each in partials)
        assert len({each["partial"] for each in partials}) == len(partials)
    assert code == 0


def test_a_stream_goes_on_behind_a_document_of_no_use(
    run: Runner, bundle: Path, article: Path, tmp_path: Path
) -> None:
    empty, long = write(tmp_path / "empty.txt", ""), write(tmp_path / "long.txt", FIRST * 20)
    code, out, err = run(bundle, empty, long, article, "--stream")
    assert (code, out) == (2, run(bundle, article)[1])
    assert [line.split(": ")[2] for line in err.splitlines()] == [str(empty), str(long)]
    code, out, err = run(bundle, long, "--truncate", "--stream")
    assert (code, out, err) == run(bundle, long, "--truncate")


def test_a_stream_has_no_batches(run: Runner, bundle: Path, article: Path) -> None:
    code, out, err = run(bundle, article, "--stream", "--batch-size", 2)
    assert (code, out) == (2, "")
    assert "--batch-size has no effect with --stream, which runs texts one by one" in err


def test_special_tokens_are_text_unless_asked_for(run: Runner, bundle: Path) -> None:
    text = f"<mask_1> {FIRST}".encode()
    _, plain, _ = run(bundle, "--json", stdin=text)
    _, parsed, _ = run(bundle, "--json", "--parse-special-tokens", stdin=text)
    assert json.loads(plain)["tokens"] != json.loads(parsed)["tokens"]


@pytest.mark.parametrize("arguments", OPTIONS)
def test_an_option_reaches_the_search(
    run: Runner, bundle: Path, article: Path, summarizer: Summarizer, arguments: str
) -> None:
    code, out, _ = run(bundle, article, "-", "--json", *arguments.split(), stdin=SECOND.encode())
    assert code == 0
    records = [json.loads(line) for line in out.splitlines()]
    expected = summarizer.summarize([FIRST, SECOND], GenerationOptions(**OPTIONS[arguments]))
    for record, summary in zip(records, expected, strict=True):
        assert_same(record, summary)
    defaults = summarizer.summarize([FIRST, SECOND])
    assert [record["tokens"] for record in records] != [list(each.token_ids) for each in defaults]


def test_early_stopping_reaches_the_search(
    run: Runner, bundle: Path, summarizer: Summarizer
) -> None:
    values: dict[str, Any] = {"true": True, "false": False, "never": "never"}
    found = set()
    for name, value in values.items():
        arguments = ("--num-beams", 2, "--min-length", 0, "--length-penalty", 0)
        stdin = THIRD.encode()
        _, out, _ = run(bundle, "--json", *arguments, "--early-stopping", name, stdin=stdin)
        options = GenerationOptions(
            num_beams=2, min_length=0, length_penalty=0.0, early_stopping=value
        )
        record = json.loads(out)
        assert_same(record, summarizer.summarize(THIRD, options))
        found.add(record["text"])
    assert len(found) > 1


def test_sampling_can_be_turned_off(run: Runner, copied: Path, summarizer: Summarizer) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["generation"]["do_sample"] = True
    (copied / "manifest.json").write_text(json.dumps(manifest))
    expected = summarizer.summarize(FIRST).text + "\n"
    assert run(copied, "--no-do-sample", stdin=FIRST.encode()) == (0, expected, "")
    assert run(copied, "--seed", 3, "--temperature", 4, stdin=FIRST.encode())[1] != expected


def test_a_prefix_is_text_that_every_summary_begins_with(run: Runner, bundle: Path) -> None:
    arguments = ("--decoder-prefix", "The mayor", "--token-scores", "--json")
    code, out, _ = run(bundle, *arguments, stdin=FIRST.encode())
    record = json.loads(out)
    assert code == 0
    assert record["text"].startswith("The mayor")
    with Summarizer.load(bundle) as summarizer:
        prefix = summarizer.encode_prefix("The mayor")
    assert record["tokens"][: len(prefix)] == list(prefix)
    assert len(record["token_scores"]) == len(record["tokens"]) - len(prefix)


def test_a_prefix_without_words_is_refused(run: Runner, bundle: Path, article: Path) -> None:
    error = only_error(run(bundle, article, "--decoder-prefix", " "))
    assert error.startswith("--decoder-prefix: text is empty or has only whitespace: pass text")


def test_scores_of_tokens_are_printed_only_where_they_are_asked_for(
    run: Runner, bundle: Path
) -> None:
    _, out, _ = run(bundle, "--json", stdin=FIRST.encode())
    assert "token_scores" not in json.loads(out)


def test_every_option_of_generation_has_a_flag(run: Runner) -> None:
    _, out, _ = run("--help")
    flags = {"--" + name.replace("_", "-") for name in GenerationOptions.__dataclass_fields__}
    assert flags <= set(re.findall(r"--[a-z-]+", out))


def test_options_may_stand_between_the_files(
    run: Runner, bundle: Path, article: Path, summarizer: Summarizer
) -> None:
    expected = summarizer.summarize(FIRST, GenerationOptions(num_beams=2)).text + "\n"
    assert run(bundle, "--num-beams", 2, article) == (0, expected, "")
    assert run("--num-beams", 2, bundle, article) == (0, expected, "")
    assert run(bundle, article, "--num-beams", 2, article) == (0, 2 * expected, "")


def test_truncation_is_noted_on_standard_error(run: Runner, bundle: Path, tmp_path: Path) -> None:
    long = write(tmp_path / "long.txt", " ".join(tiny_sentences()[:9]))
    code, out, err = run(bundle, long, "--truncate", "--json")
    assert (code, json.loads(out)["truncated"]) == (0, True)
    before = int(err.split("cut from ")[1].split()[0])
    assert err == f"{PREFIX}{long}: cut from {before} to 96 tokens\n"
    assert before > 96


def test_text_that_the_tokenizer_does_not_know_is_warned_of(
    run: Runner, bundle: Path, tmp_path: Path
) -> None:
    chinese = write(tmp_path / "chinese.txt", "\u4e2d\u6587" * 200)
    code, out, err = run(bundle, "--json", chinese)
    assert (code, json.loads(out)["unknown_share"]) == (0, 1.0)
    assert err == (
        f"pegasus-summarize: {chinese}: warning: the tokenizer does not know 100% of its "
        "characters, so the result may be made up: use a model of the document's language\n"
    )


def test_html_and_characters_that_nobody_sees_are_warned_of(
    run: Runner, bundle: Path, tmp_path: Path
) -> None:
    page = write(tmp_path / "page.html", f"<p>{FIRST}</p>\x1b[0m\u200b")
    code, out, err = run(bundle, "--json", page)
    record = json.loads(out)
    assert (code, record["control_characters"], record["looks_like_html"]) == (0, 2, True)
    about_html, about_characters = err.splitlines()
    assert about_html == (
        f"pegasus-summarize: {page}: warning: it has HTML, which the model reads as words: make "
        "plain text of it first, e.g. with w3m -dump -T text/html, lynx -dump -stdin, or "
        "trafilatura"
    )
    assert about_characters == (
        f"pegasus-summarize: {page}: warning: it has 2 characters that nobody sees, such as escape "
        "sequences, soft hyphens or marks of direction, and the model cannot read: remove them if "
        "the result is odd"
    )
    _, _, err = run(bundle, stdin=f"{FIRST}\u200b".encode())
    assert "it has 1 character that nobody sees" in err


def test_a_document_with_too_much_unknown_is_refused_among_the_others(
    run: Runner, bundle: Path, article: Path, tmp_path: Path
) -> None:
    chinese = write(tmp_path / "chinese.txt", "\u4e2d\u6587" * 200)
    _, expected, _ = run(bundle, article)
    code, out, err = run(bundle, chinese, article, "--max-unknown", "0.5")
    assert (code, out) == (2, expected)
    assert f"{chinese}: the tokenizer does not know 100.0% of the text's characters" in err
    code, _, err = run(bundle, article, "--max-unknown", "20")
    assert (code, "'20', expected a share from 0 to 1" in err) == (2, True)
    code, _, err = run(bundle, article, "--max-unknown", "much")
    assert (code, "'much', expected a share from 0 to 1" in err) == (2, True)


def test_hashes_that_fit_change_nothing(run: Runner, bundle: Path, article: Path) -> None:
    assert run(bundle, article, "--check-hashes") == run(bundle, article)


# What is refused: one line on standard error, nothing on standard output, exit code 2.


@pytest.mark.parametrize("arguments", BAD_OPTIONS)
def test_options_that_cannot_be_met_are_refused(
    run: Runner, bundle: Path, article: Path, arguments: str
) -> None:
    assert only_error(run(bundle, article, *arguments.split())).startswith(BAD_OPTIONS[arguments])


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS)
def test_arguments_that_mean_nothing_are_refused(
    run: Runner, bundle: Path, article: Path, arguments: str
) -> None:
    error = only_error(run(bundle, article, *arguments.split()))
    assert error.startswith(BAD_ARGUMENTS[arguments])
    assert error.endswith(" see pegasus-summarize --help")


def test_a_bundle_must_be_named(run: Runner) -> None:
    error = only_error(run())
    assert error == "the following arguments are required: BUNDLE: see pegasus-summarize --help"


def test_documents_that_cannot_be_summarised_are_refused(
    run: Runner, bundle: Path, tmp_path: Path
) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes("caf\xe9".encode("latin-1"))
    long = write(tmp_path / "long.txt", " ".join(tiny_sentences()[:9]))
    empty = "text is empty or has only whitespace: pass text with words in it"
    cases = {
        write(tmp_path / "empty.txt", ""): empty,
        write(tmp_path / "blank.txt", " \n\t "): empty,
        latin: "not UTF-8 (byte 3): convert it, e.g. with iconv -t UTF-8",
        tmp_path / "missing.txt": "cannot be read: No such file or directory: check the path",
        tmp_path / ("x" * 300): "cannot be read: File name too long: check the path",
        tmp_path: "cannot be read: Is a directory: check the path",
        long: f"source has {token_count(long)} tokens, the bundle takes 96, as many as the "
        "model was made for (beyond them its summaries are wrong): shorten it, pass truncate=True "
        "(--truncate) or long='chunk' (--long chunk), or use a checkpoint for long documents, such "
        "as BigBirdPegasus or PEGASUS-X",
    }
    for path, message in cases.items():
        assert only_error(run(bundle, path)) == f"{path}: {message}"


def test_a_long_document_is_summarised_in_windows_and_that_is_said(
    run: Runner, bundle: Path, tmp_path: Path, summarizer: Summarizer
) -> None:
    text = " ".join(tiny_sentences()[:9])
    long, short = write(tmp_path / "long.txt", text), write(tmp_path / "short.txt", FIRST)
    expected = summarizer.summarize([text, FIRST], long="chunk")
    code, out, err = run(bundle, "--long", "chunk", "--json", long, short)
    first, second = map(json.loads, out.splitlines())
    assert first["text"] == expected[0].text
    assert first["windows"] == [asdict(window) for window in expected[0].windows]
    assert "windows" not in second
    assert code == 0
    assert f"{long}: summarised in " in err
    assert " windows, as it is over the bundle's limit" in err
    assert str(short) not in err
    cut = run(bundle, "--long", "truncate", long)
    assert cut == run(bundle, "--truncate", long)
    assert "long.txt: cut from " in cut[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--truncate --long chunk", "--truncate stands for --long truncate, and --long is chunk"),
        ("--stream --long chunk", "--long chunk drops what windows say twice, and --stream takes"),
    ],
)
def test_long_documents_that_are_asked_for_in_two_ways_are_refused(
    run: Runner, bundle: Path, arguments: str, message: str
) -> None:
    assert only_error(run(bundle, *arguments.split())).startswith(message)


def test_documents_that_are_refused_do_not_lose_the_others(
    run: Runner, bundle: Path, article: Path, tmp_path: Path, summarizer: Summarizer
) -> None:
    missing, empty = tmp_path / "missing.txt", write(tmp_path / "empty.txt", "")
    second = write(tmp_path / "second.txt", SECOND)
    code, out, err = run(bundle, article, empty, missing, second, "--batch-size", 1)
    assert code == 2
    assert out.splitlines() == [each.text for each in summarizer.summarize([FIRST, SECOND])]
    assert err == (
        f"{PREFIX}error: {missing}: cannot be read: No such file or directory: check the path\n"
        f"{PREFIX}error: {empty}: text is empty or has only whitespace: pass text with words in "
        "it\n"
    )


def test_a_document_that_fails_on_the_way_does_not_lose_the_others(
    run: Runner, bundle: Path, article: Path, tmp_path: Path, summarizer: Summarizer
) -> None:
    """Every token but those of one document is banned, and its own may not be copied."""
    words = summarizer.encode(FIRST).token_ids
    vocabulary = summarizer.bundle.manifest.architecture.vocab_size
    banned = ",".join(str(token) for token in range(vocabulary) if token not in words)
    second = write(tmp_path / "second.txt", SECOND)
    code, out, err = run(
        bundle,
        *(second, article, second),
        *("--suppress-tokens", banned, "--encoder-no-repeat-ngram-size", 1),
        *("--num-beams", 1, "--max-length", 6, "--json"),
    )
    assert code == 2
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(second)] * 2
    assert err.startswith(f"{PREFIX}error: {article}: no token may follow a row under these opt")
    assert err.count("\n") == 1


def test_an_engine_that_fails_on_a_document_is_exit_code_1(
    run: Runner, copied: Path, article: Path, tmp_path: Path
) -> None:
    """The manifest allows longer documents than there are positions in the encoder's table."""
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["limits"]["max_source_tokens"] = 10_000
    (copied / "manifest.json").write_text(json.dumps(manifest))
    long = write(tmp_path / "long.txt", " ".join(tiny_sentences()[:60]))
    code, out, err = run(copied, long, article)
    assert (code, out) == (1, run(copied, article)[1])
    assert err.startswith(f"{PREFIX}error: {long}: ONNX Runtime failed: ")
    assert err.count("\n") == 1


def token_count(path: Path) -> int:
    from pegasus_runtime.tokenization.tokenizer import Tokenizer

    model = path.parent / "spiece.model"
    if not model.exists():
        from exporter.tiny_checkpoint import tiny_spiece

        model.write_bytes(tiny_spiece())
    return len(
        Tokenizer.load(model, PUBLISHED_TOKENIZERS["pegasus"]).encode(path.read_text()).token_ids
    )


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (b"", "standard input: text is empty or has only whitespace: pass text with words in it"),
        (b"\xff\xfe", "standard input: not UTF-8 (byte 0): convert it, e.g. with iconv -t UTF-8"),
        (None, "standard input is closed: name a FILE, or give it text"),
    ],
)
def test_standard_input_that_cannot_be_summarised_is_refused(
    run: Runner, bundle: Path, stdin: bytes | None, message: str
) -> None:
    assert only_error(run(bundle, stdin=stdin)) == message


def test_a_file_name_with_a_newline_does_not_break_the_line(
    run: Runner, bundle: Path, tmp_path: Path
) -> None:
    error = only_error(run(bundle, tmp_path / "two\nlines.txt"))
    assert error.startswith(f"{tmp_path}/two lines.txt: cannot be read: No such file")


def test_bundles_that_cannot_be_used_are_refused_before_standard_input_is_read(
    run: Runner, copied: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    manifest = (copied / "manifest.json").read_text()

    def refused(folder: Path) -> str:
        return only_error(run(folder))  # standard input is closed, which nobody finds out

    assert "is not a folder; export one with pegasus-export" in refused(tmp_path / "none")
    assert "has no manifest.json; export one with peg" in refused(tmp_path / "folder")
    newer = manifest.replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99')
    (copied / "manifest.json").write_text(newer)
    assert "written by a newer pegasus-edge: upgrade" in refused(copied)
    outside = manifest.replace("spiece.model", "../spiece.model")
    (copied / "manifest.json").write_text(outside)
    assert "../spiece.model" in refused(copied)
    (copied / "manifest.json").write_text(manifest)
    weights = (copied / "weights.bin").read_bytes()
    (copied / "weights.bin").unlink()
    assert "weights.bin: missing or unreadable: copy the bundle again" in refused(copied)
    (copied / "weights.bin").write_bytes(weights[:-1])
    assert "copy the bundle again, or export again" in refused(copied)


def test_an_altered_bundle_is_refused_when_hashes_are_checked(
    run: Runner, copied: Path, article: Path
) -> None:
    weights = bytearray((copied / "weights.bin").read_bytes())
    weights[-1] ^= 1
    (copied / "weights.bin").write_bytes(weights)
    assert run(copied, article)[0] == 0
    error = only_error(run(copied, article, "--check-hashes"))
    assert "weights.bin: its SHA-256 differs from the manifest's, the file was altered" in error


def test_a_bundle_for_other_runtimes_is_refused(run: Runner, copied: Path, article: Path) -> None:
    manifest = (copied / "manifest.json").read_text().replace('"ort"', '"onnx"')
    (copied / "manifest.json").write_text(manifest)
    assert only_error(run(copied, article)).endswith("trt, trt-rtx: export with --target ort")


def test_an_engine_that_fails_is_exit_code_1(run: Runner, copied: Path, article: Path) -> None:
    data = (copied / "encoder.onnx").read_bytes()
    (copied / "encoder.onnx").write_bytes(
        data.replace(b"LayerNormalization", b"LayerNormalizatioX")
    )
    error = only_error(run(copied, article), code=1)
    assert "encoder.onnx: ONNX Runtime cannot load it: " in error


def test_the_signal_handler_is_put_back(run: Runner, bundle: Path, article: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run(bundle, article)
    assert signal.getsignal(signal.SIGTERM) == before


# Help.


def test_help_shows_every_option_within_80_columns(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    given = {word for arguments in OPTIONS for word in arguments.split() if word[:2] == "--"}
    others = {"--json", "--truncate", "--newlines", "--parse-special-tokens", "--threads"}
    others |= {"--batch-size", "--check-hashes", "--early-stopping", "--num-return-sequences"}
    assert given | others <= set(re.findall(r"--[a-z-]+", out))
    assert "exit codes:" in out


def test_every_example_of_the_help_is_understood(run: Runner, bundle: Path, article: Path) -> None:
    _, out, _ = run("--help")
    examples = [line.strip() for line in out.splitlines() if line.startswith("  pegasus-summ")]
    by_name = [line for line in examples if "google/" in line or "--demo" in line]
    assert (len(examples), len(by_name)) == (5, 2)
    (article.parent / "in.jsonl").write_text('{"text": "The old miller sold a red boat."}\n')
    for example in by_name:
        make_parser().parse_intermixed_args(example.split()[1:])
    for example in sorted(set(examples) - set(by_name)):
        words = example.replace("xsum", str(bundle)).replace("*.txt", "article.txt").split()[1:]
        files = ("article.txt", "in.jsonl", "out.jsonl.gz")
        words = [str(article.with_name(word)) if word in files else word for word in words]
        assert run(*words)[0] == 0


# Whole processes: terminals, pipes, signals.


def read_terminal(descriptor: int) -> str:
    data = b""
    try:
        while chunk := os.read(descriptor, 4096):
            data += chunk
    except OSError:  # how a pseudo-terminal says that the other side has closed
        pass
    os.close(descriptor)
    return data.decode()


def test_progress_is_shown_on_a_terminal_and_only_on_standard_error(
    bundle: Path, article: Path
) -> None:
    screen, terminal = pty.openpty()
    process = start(bundle, article, article, article, "--batch-size", 1, stderr=terminal)
    os.close(terminal)
    out, _ = process.communicate(timeout=60)
    shown = read_terminal(screen)
    assert process.returncode == 0
    assert len(out.splitlines()) == 3
    assert "\r" not in out
    assert [f"{n} of 3 documents" in shown for n in range(5)] == [True] * 4 + [False]
    assert re.search(r"1 of 3 documents, [0-9.]+ (s each|a second), 0:00:\d\d left", shown)
    assert shown.endswith("\r\x1b[K")


def test_someone_at_a_terminal_is_told_that_it_is_read(
    bundle: Path, summarizer: Summarizer
) -> None:
    keyboard, terminal = pty.openpty()
    os.write(keyboard, f"{FIRST}\n\x04".encode())
    process = start(bundle, stdin=terminal)
    os.close(terminal)
    out, err = process.communicate(timeout=60)
    os.close(keyboard)
    assert (process.returncode, out) == (0, summarizer.summarize(FIRST).text + "\n")
    assert err == (
        f"{PREFIX}reading standard input: type or paste the text, then press Ctrl-D on a line of "
        "its own\n"
    )


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Documents that take far longer to summarise than a test."""
    folder = tmp_path_factory.mktemp("many")
    return [write(folder / f"{n}.txt", FIRST) for n in range(1500)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_between_whole_lines(
    bundle: Path, many: list[Path], number: signal.Signals
) -> None:
    options = ("--json", "--batch-size", 1, "--num-beams", 16, "--min-length", 24)
    # A shell that starts the tests in the background makes its children ignore SIGINT.
    process = start(
        bundle,
        *many,
        *options,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(number)
    rest, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, f"{PREFIX}error: interrupted\n")
    out = first + rest
    assert out.endswith("\n")
    files = [json.loads(line)["file"] for line in out.splitlines()]
    assert files == [str(path) for path in many[: len(files)]]
    assert len(files) < len(many)


def test_a_signal_ends_the_line_that_is_streamed(bundle: Path, many: list[Path]) -> None:
    process = start(
        bundle,
        *many,
        *("--stream", "--num-beams", 1, "--min-length", 90),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.read(5)  # before the end of the first line
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, f"{PREFIX}error: interrupted\n")
    assert rest.endswith("\n")


def test_a_reader_that_goes_away_ends_it_quietly(bundle: Path, many: list[Path]) -> None:
    process = start(bundle, *many, "--batch-size", 1)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().endswith("\n")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_an_error(bundle: Path, article: Path) -> None:
    with open("/dev/full", "w") as full:
        process = start(bundle, article, stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == (
        f"{PREFIX}error: standard output cannot be written: No space left on device: free some "
        "space, or send it somewhere else\n"
    )


def test_a_note_that_cannot_be_shown_costs_no_summary(
    bundle: Path, article: Path, tmp_path: Path, summarizer: Summarizer
) -> None:
    """Its reader has gone, which is not that of the summaries."""
    long = write(tmp_path / "long.txt", " ".join(tiny_sentences()[:9]))
    reading, writing = os.pipe()
    os.close(reading)
    process = start(bundle, tmp_path / "none", long, article, "--truncate", stderr=writing)
    os.close(writing)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out.splitlines() == [
        each.text for each in summarizer.summarize([long.read_text(), FIRST], truncate=True)
    ]


def test_what_is_said_without_standard_error_is_not_among_the_summaries(
    bundle: Path, article: Path, tmp_path: Path
) -> None:
    process = start(bundle, tmp_path / "none", article, "--json", preexec_fn=lambda: os.close(2))
    (line,) = process.communicate(timeout=60)[0].splitlines()
    assert (process.returncode, json.loads(line)["file"]) == (2, str(article))


def test_output_is_utf_8_whatever_the_locale_and_the_file_names(
    bundle: Path, tmp_path: Path
) -> None:
    path = write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xc3\xa9 \xff.txt")), FIRST)
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [*COMMAND, str(bundle), str(path), "--json", *ONE_THREAD]
    result = subprocess.run(command, env=environment, capture_output=True)
    assert (result.returncode, result.stderr) == (0, b"")
    assert json.loads(result.stdout.decode("utf-8"))["file"] == str(path)


def test_running_the_command_loads_no_torch(bundle: Path, article: Path) -> None:
    script = (
        "import sys; from pegasus_runtime.commands.summarize import main;"
        "assert main(sys.argv[1:]) == 0;"
        "print(*{'torch', 'transformers', 'onnx', 'onnxruntime'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script, str(bundle), str(article), *ONE_THREAD]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "onnxruntime"
