"""pegasus-features: what it writes, and what it refuses."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import FeatureExtractor
from pegasus_runtime.command_line.streams import ResultError
from pegasus_runtime.commands import features
from pegasus_runtime.commands.feature_archive import open_archive

Run = Callable[..., tuple[int, str, str]]
TEXTS = tiny_sentences()[:2]
TOO_LONG = " ".join(tiny_sentences()[:30])


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: object, stdin: str = "") -> Any:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        try:
            code = features.main([*map(str, arguments), "--threads", "1"])
        except SystemExit as ended:
            code = int(str(ended.code))
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path]) -> Path:
    return tiny_bundle("PegasusModel")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path, text in zip(paths, TEXTS, strict=True):
        path.write_text(text)
    return paths


def test_a_file_has_the_states_of_all_documents(
    run: Run, bundle: Path, files: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "out.npz"
    assert run(bundle, *files, "--output", output) == (0, "", "")
    with FeatureExtractor.load(bundle, threads=1) as extractor:
        expected = [extractor.extract(text) for text in TEXTS]
    with np.load(output) as found:  # which unpickles nothing
        assert found["files"].tolist() == [str(path) for path in files]
        assert len(found.files) == 1 + 4 * len(files)
        for number, each in enumerate(expected):
            for name in ("last_hidden_state", "encoder_last_hidden_state"):
                np.testing.assert_array_equal(found[f"{name}.{number}"], getattr(each, name))
            for name in ("token_ids", "decoder_input_ids"):
                assert tuple(found[f"{name}.{number}"].tolist()) == getattr(each, name)
    before = output.read_bytes()
    assert run(bundle, *files, "--output", output)[0] == 0
    assert output.read_bytes() == before


def test_documents_of_no_use_leave_the_others_or_the_file_that_was_there(
    run: Run, bundle: Path, files: list[Path], tmp_path: Path
) -> None:
    output, long = tmp_path / "out.npz", tmp_path / "long.txt"
    long.write_text(TOO_LONG)
    code, out, err = run(bundle, files[0], long, tmp_path / "none", "--output", output)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith(f"pegasus-features: error: {tmp_path / 'none'}: cannot be read")
    assert lines[1].startswith(f"pegasus-features: error: {long}: source has")
    assert np.load(output)["files"].tolist() == [str(files[0])]
    before = output.read_bytes()
    assert run(bundle, long, "--output", output)[0] == 2
    assert output.read_bytes() == before
    code, _, err = run(bundle, long, "--output", output, "--truncate")
    assert (code, err) == (0, f"pegasus-features: {long}: cut to what the bundle takes\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("long.txt", "one.txt", "out.npz", "two.txt")
    ]


@pytest.mark.parametrize("place", [".", "none/out.npz", "x" * 300, "pipe"])
def test_an_output_that_cannot_be_is_refused_before_anything_is_loaded(
    run: Run, tmp_path: Path, place: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    code, out, err = run("no-bundle", "--output", f"{tmp_path}/{place}", stdin=TEXTS[0])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"pegasus-features: error: --output {tmp_path}")


def test_an_output_that_is_not_to_be_written_is_an_error(tmp_path: Path) -> None:
    message = "out.npz cannot be written: No such file or directory: free some space, or choose"
    with pytest.raises(ResultError, match=message), open_archive(tmp_path / "none" / "out.npz"):
        pass


def test_a_bundle_of_another_task_is_one_line(
    run: Run, tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    code, out, err = run(tiny_bundle(), "--output", tmp_path / "out.npz", stdin=TEXTS[0])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "open it with Summarizer" in err
    assert list(tmp_path.iterdir()) == []


def test_help_teaches(run: Run) -> None:
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(word in out for word in ("--output", "--truncate", "numpy.load", "article.npz"))
