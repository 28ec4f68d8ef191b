"""pegasus-export as a user meets it: what it prints, what it refuses, what it leaves behind."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_export.command.main import main
from pegasus_export.command.report import print_tables
from pegasus_export.stages.export import ExportResult
from pegasus_runtime.bundle import open_bundle

SEQ2SEQ = "PegasusForConditionalGeneration"
CAUSAL = "PegasusForCausalLM"  # the quickest to export
TIMEOUT_S = 120
TinyCheckpoint = Callable[[str], Path]
Captured = pytest.CaptureFixture[str]

on_posix = pytest.mark.skipif(os.name == "nt", reason="signals and mounts of POSIX systems")

BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
from pegasus_export.command.main import main
sys.exit(main(sys.argv[1:]))
"""


def _start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own, both streams captured."""
    command = [sys.executable, "-m", "pegasus_export.command.main", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=environment, **(pipes | options))


def _run_without(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command where a module cannot be imported."""
    command = [sys.executable, "-c", BLOCKER.format(blocked=module), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def _assert_one_line(text: str, expected: str) -> None:
    assert re.fullmatch(r"pegasus-export: error: [^\n]+\n", text), text
    assert re.search(expected, text), text


def _assert_refused(captured: Captured, output: Path, *arguments: str | Path, says: str) -> None:
    """One line on stderr, exit code 2, and the output's parent folder as it was."""
    before = sorted(output.parent.iterdir()) if output.parent.exists() else []
    captured.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it would be a second line on stderr
        code = main([*map(str, arguments), "--quiet", "--output", str(output)])
    out, err = captured.readouterr()
    _assert_one_line(err, says)
    assert (code, out) == (2, "")
    after = sorted(output.parent.iterdir()) if output.parent.exists() else []
    assert after == before


def _edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not ...}))


class _Malicious:
    """Unpickled by a loader that runs what it reads, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _to_bin(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    return folder / "pytorch_model.bin"


def _empty(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _another_type(folder: Path) -> None:
    _edit_config(folder, model_type="bart")


def _truncated_safetensors(folder: Path) -> None:
    _cut(folder / "model.safetensors")


def _garbage_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 5000)


def _truncated_bin(folder: Path) -> None:
    path = _to_bin(folder)
    torch.save({"model.shared.weight": torch.zeros(300, 32)}, path)
    _cut(path)


def _garbage_bin(folder: Path) -> None:
    _to_bin(folder).write_bytes(b"\x80garbage\n" * 99)


def _malicious_bin(folder: Path) -> None:
    torch.save({"a": _Malicious(folder / "executed")}, _to_bin(folder))


def _malicious_pickle(folder: Path) -> None:
    data = pickle.dumps({"a": _Malicious(folder / "executed")}, protocol=2)
    _to_bin(folder).write_bytes(data)


def _fields_missing(folder: Path) -> None:
    _edit_config(folder, activation_function=None, scale_embedding=None)


def _fields_impossible(folder: Path) -> None:
    _edit_config(folder, d_model=33, vocab_size=-1, activation_function="elu")


def _no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _wrong_shape(folder: Path) -> None:
    _edit_config(folder, encoder_ffn_dim=56)


def _missing_layer(folder: Path) -> None:
    _edit_config(folder, decoder_layers=3)


def _no_tokenizer(folder: Path) -> None:
    (folder / "spiece.model").unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (shutil.rmtree, "does not exist, expected a checkpoint folder: check the path"),
        (_empty, r"has no weights, expected one of model\.safetensors.*: complete the download"),
        (_another_type, "has model_type 'bart', which is BART, expected 'pegasus', 'bigbird_pegas"),
        (_truncated_safetensors, r"model\.safetensors is damaged or incomplete .*download it ag"),
        (_garbage_safetensors, r"model\.safetensors is damaged or incomplete .*download it again"),
        (_truncated_bin, r"pytorch_model\.bin is damaged.*: "),
        (_garbage_bin, r"pytorch_model\.bin is damaged.*: "),
        (_malicious_bin, r"is damaged, or asks to run code .*mkdir.*: use a \.safetensors file"),
        (_malicious_pickle, r"is damaged, or asks to run code .*mkdir.*: use a \.safetensors file"),
        (_fields_missing, r"config\.json does not describe a PEGASUS network: activation_func"),
        (_fields_impossible, r"vocab_size is -1, expected .*; activation_function is .elu., expe"),
        (_no_json, r"config\.json is not valid JSON .*: download it again"),
        (_wrong_shape, r"tensors of another shape: .*fc1\.\w+ is .*, expected .*: check that both"),
        (_missing_layer, r"26 tensors missing: .*: check that both are of one model"),
        (
            _no_tokenizer,
            r"has no spiece\.model, tokenizer\.json or vocab\.txt, one of which summarization",
        ),
    ],
)
def test_a_checkpoint_that_is_unusable_is_refused_in_one_line(
    tmp_path: Path,
    tiny_checkpoint: TinyCheckpoint,
    capsys: Captured,
    damage: Callable[[Path], object],
    says: str,
) -> None:
    folder = shutil.copytree(tiny_checkpoint(SEQ2SEQ), tmp_path / "checkpoint")
    damage(folder)
    (tmp_path / "out").mkdir()
    _assert_refused(capsys, tmp_path / "out" / "bundle", "--model", folder, says=says)
    assert not (folder / "executed").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--target", "coreml"], "target 'coreml' is not known: this version offers"),
        (["--precision", "fp8"], "precision 'fp8' is not known: this version offers"),
        (["--target", "tensorrt"], r"is not known: did you mean trt or trt-rtx\? this version off"),
        (["--random-blocks", "seed"], r"expected hf-eval or seeded: did you mean seeded\?$"),
        (["--block-sparse", "plugins"], r"expected plugin or plain: did you mean plugin\?$"),
        (["--num-beams", "4"], "what concerns building are for targets trt and trt-rtx, this one"),
        (["--target", "trt"], "TensorRT (cannot be imported|builds for the GPU at hand)"),
        (["--target", "trt", "--onnx-only", "--num-beams", "64"], "--num-beams is 64, expected fr"),
        (["--target", "trt-rtx", "--onnx-only", "--max-batch", "0"], "--max-batch is 0, expected"),
        (["--target", "onnx", "--precision", "int4"], "precision 'int4' is not built for target"),
        (["--keep-fp32", "*.fc2"], "--keep-fp32 is for lower precisions, this bundle is fp32"),
        (["--max-source-tokens", "5000000000"], "is 5000000000, expected from 2 to 131072"),
        (["--target", "trt", "--onnx-only", "--num-beams", "0"], "--num-beams is 0, expected from"),
        (
            ["--precision", "int8", "--max-rouge-drop", "inf"],
            "is inf, expected points of ROUGE-L, f",
        ),
        (["--max-rouge-drop", "1"], "--max-rouge-drop is for lower precisions, this bundle"),
        (["--task", "text-generation"], "is not what a .* does: use --task summarization or fe"),
        (["--revision", "main"], "is a local folder, got revision main: leave the revision out"),
        (["--adapter", "/none/lora"], "/none/lora does not exist, expected a checkpoint folder"),
        (["--adapter", "a", "--adapter", "b"], "--adapter is given 2 times, expected once: merge"),
    ],
)
def test_an_option_that_is_unusable_is_refused_in_one_line(
    tmp_path: Path,
    tiny_checkpoint: TinyCheckpoint,
    capsys: Captured,
    options: list[str],
    says: str,
) -> None:
    model = ["--model", str(tiny_checkpoint(SEQ2SEQ))]
    _assert_refused(capsys, tmp_path / "bundle", *model, *options, says=says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--max-source-tokens", "0"], "--max-source-tokens: '0', expected an integer of at leas"),
        (["--max-source-tokens", "abc"], "'abc', expected an integer of at least 2: see pegasus-"),
        (["--max-source-tokens", "1.5"], "'1.5', expected an integer of at least 2"),
        (["--shiny"], "unrecognized arguments: --shiny: see pegasus-export --help"),
        (
            ["--num-beam", "4"],
            r"--num-beam 4: did you mean --num-beams\? see pegasus-export --h",
        ),
        (["--task", "summarisation"], r"invalid choice: .*: did you mean summarization\? see"),
        (["--plugin", "pyton"], r"invalid choice: 'pyton' .*: did you mean python\? see"),
    ],
)
def test_what_cannot_be_parsed_is_refused_in_one_line(
    tmp_path: Path, capsys: Captured, arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--model", "m", "--output", str(tmp_path / "bundle"), *arguments])
    assert caught.value.code == 2
    _assert_one_line(capsys.readouterr().err, says)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--output", "o"], "expected one of --model and --build: see"),
        (["--list-cache", "--push", "me/b"], "--list-cache and --clear-cache do nothing else: lea"),
        (["--clear-cache", "--model", "m"], "--list-cache and --clear-cache do nothing else: lea"),
        (["--model", "m", "--build", "b"], "expected one of --model and --build: see"),
        (["--model", "m"], "arguments are required: --output: see"),
        (
            ["--model", "m", "--output", "o", "--compute-capability", "sm89"],
            "'sm89', expected current, or such as 8.6,8.9: see",
        ),
    ],
)
def test_model_and_output_must_be_given(capsys: Captured, given: list[str], says: str) -> None:
    with pytest.raises(SystemExit):
        main(given)
    _assert_one_line(capsys.readouterr().err, says)


def test_plans_are_built_of_graphs_from_the_command_line(
    tiny_bundle: Callable[..., Path], tmp_path: Path, capsys: Captured
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    graphs = tmp_path / "graphs"
    shutil.copytree(tiny_bundle(SEQ2SEQ, "trt-rtx", "fp32"), graphs)
    assert main(["--build", str(graphs), "--compute-capability", "8.9"]) == 0
    printed = capsys.readouterr().out
    assert f"{graphs}-plans: plans of TensorRT for RTX " in printed
    assert " for compute capability 8.9\n" in printed
    assert "next: pegasus-summarize" in printed
    assert main(["--build", str(graphs)]) == 2
    _assert_one_line(capsys.readouterr().err, "output folder exists: ")
    assert main(["--build", str(graphs), "--force", "--json", "--compute-capability", "8.6"]) == 0
    assert json.loads(capsys.readouterr().out)["plans"]["compute_capabilities"] == ["8.6"]
    assert main(["--build", f"{graphs}-plans", "--output", str(tmp_path / "again")]) == 2
    _assert_one_line(capsys.readouterr().err, "and no graphs: export the checkpoint again")


def test_graphs_for_a_device_are_followed_by_the_command_that_builds_their_plans(
    tiny_bundle: Callable[..., Path], capsys: Captured
) -> None:
    bundle = open_bundle(tiny_bundle(SEQ2SEQ, "trt-rtx", "fp32"))
    print_tables(ExportResult(bundle=bundle, measured=(), changes=None, seconds=1.0), Path("a b"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "next: on the device, pegasus-build 'a b'"


def test_more_tokens_than_the_model_has_positions_are_warned_of(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, capsys: Captured
) -> None:
    arguments = ["--model", str(tiny_checkpoint(SEQ2SEQ)), "--output", str(tmp_path / "bundle")]
    capsys.readouterr()  # of the checkpoint's writing
    assert main([*arguments, "--json", "--max-source-tokens", "200"]) == 0
    err = capsys.readouterr().err
    says = "pegasus-export: warning: the bundle takes 200 tokens, the model was made for 96 and has"
    assert err.startswith(says)
    assert err.count("\n") == 1
    assert main([*arguments, "--json", "--force", "--max-source-tokens", "90"]) == 0
    assert capsys.readouterr().err == ""


def test_an_existing_folder_is_replaced_only_if_it_is_a_bundle(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, capsys: Captured
) -> None:
    model = ["--model", str(tiny_checkpoint(CAUSAL))]
    output = tmp_path / "photos"
    output.mkdir()
    (output / "me.jpg").write_bytes(b"me")
    says = "output folder exists: .*photos: choose another or pass --force"
    _assert_refused(capsys, output, *model, says=says)
    says = "output folder is not a bundle: .*: --force replaces bundles only; choose another"
    _assert_refused(capsys, output, *model, "--force", says=says)
    _assert_refused(capsys, output / "me.jpg", *model, says="output is a file: .*choose another")
    assert (output / "me.jpg").read_bytes() == b"me"


@on_posix
@pytest.mark.parametrize("output", ["/proc/none/bundle", "/dev/null/bundle"])
def test_a_parent_that_cannot_be_written_is_refused(
    tiny_checkpoint: TinyCheckpoint, capsys: Captured, output: str
) -> None:
    code = main(["--model", str(tiny_checkpoint(CAUSAL)), "--output", output])
    assert code == 2
    says = rf"{output} cannot be written \(.+\): free some space, or choose another folder"
    _assert_one_line(capsys.readouterr().err, says)


@on_posix
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("x" * 300, r"x: File name too long: check the path$"),
        ("x" * 300 + "/bundle", r"bundle: File name too long: check the path$"),
        ("loop", "output is a file: .*loop: choose another"),
        (
            "b\udcff",
            r"--output .*b\\udcff is not UTF-8, which the libraries that check a bundle",
        ),
    ],
)
def test_an_output_that_the_system_refuses_is_one_line(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, capsys: Captured, name: str, says: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    code = main(["--model", str(tiny_checkpoint(CAUSAL)), "--output", str(tmp_path / name)])
    assert code == 2
    _assert_one_line(capsys.readouterr().err, says)
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of as many kilobytes as the test's parameter says."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = f"size={request.param}k"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@on_posix
@pytest.mark.parametrize(
    "small_disk",
    [64, 300],  # full with the tokenizer; in the middle of the weights
    indirect=True,
)
def test_a_full_disk_is_said_and_nothing_stays_on_it(
    small_disk: Path, tiny_checkpoint: TinyCheckpoint, capsys: Captured
) -> None:
    model = ["--model", str(tiny_checkpoint(CAUSAL))]
    says = r"cannot be written \(No space left on device\): free some space, or choose another"
    _assert_refused(capsys, small_disk / "bundle", *model, says=says)


def _interrupted(
    folder: Path, checkpoint: Path, number: signal.Signals
) -> tuple[subprocess.Popen[str], str]:
    """An export that got the signal while it traced, and what it printed to stderr."""
    process = _start("--model", checkpoint, "--output", folder / "bundle")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("read checkpoint: ")
    assert list(folder.glob(".bundle.pegasus-partial-*"))
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert out == ""
    return process, err


@on_posix
@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (signal.SIGINT, 130, "pegasus-export: error: interrupted: nothing was written\n"),
        (signal.SIGTERM, 143, "pegasus-export: error: interrupted: nothing was written\n"),
    ],
)
def test_an_interrupted_export_leaves_nothing(
    tmp_path: Path,
    tiny_checkpoint: TinyCheckpoint,
    number: signal.Signals,
    code: int,
    says: str,
) -> None:
    process, err = _interrupted(tmp_path, tiny_checkpoint(CAUSAL), number)
    assert (process.returncode, err) == (code, says)
    assert list(tmp_path.iterdir()) == []


@on_posix
def test_a_bundle_is_complete_whoever_reads_of_it(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    """Standard error is closed, and the reader of the result has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    arguments = ("--model", tiny_checkpoint(CAUSAL), "--output", tmp_path / "bundle")
    process = _start(*arguments, stdout=writing, preexec_fn=lambda: os.close(2))
    os.close(writing)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, err) == (0, "")
    assert open_bundle(tmp_path / "bundle", check_hashes=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_result_that_cannot_be_printed_says_that_the_bundle_is_complete(
    tmp_path: Path,
    tiny_checkpoint: TinyCheckpoint,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--model", str(tiny_checkpoint(CAUSAL)), "--output", "bundle"]
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code = main([*arguments, "--report", "report"])
    assert code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "pegasus-export: error: standard output cannot be written: No space left on device: free "
        "some space, or send it somewhere else; bundle is complete"
    )
    assert open_bundle("bundle")
    assert Path("report", "report.json").exists()


@on_posix
def test_what_a_killed_export_leaves_is_no_bundle_and_goes_with_the_next(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, capsys: Captured
) -> None:
    checkpoint = tiny_checkpoint(CAUSAL)
    _interrupted(tmp_path, checkpoint, signal.SIGKILL)
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".bundle.pegasus-partial-")
    assert not (leftover / "manifest.json").exists()
    code = main(["--model", str(checkpoint), "--output", str(tmp_path / "bundle"), "--quiet"])
    assert (code, capsys.readouterr()) == (0, ("", ""))  # quiet
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_weights_that_are_no_numbers_fail_the_check(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, capsys: Captured
) -> None:
    folder = shutil.copytree(tiny_checkpoint(CAUSAL), tmp_path / "checkpoint")
    state = {name: x.clone() for name, x in load_file(folder / "model.safetensors").items()}
    state["model.decoder.layers.0.fc1.weight"][3, 3] = torch.nan
    save_file(state, folder / "model.safetensors")
    output = tmp_path / "out" / "bundle"
    code = main(["--model", str(folder), "--output", str(output), "--quiet"])
    assert code == 1
    says = "the checkpoint itself computes values that are not finite: its weights are damaged, do"
    _assert_one_line(capsys.readouterr().err, says)
    assert list(output.parent.iterdir()) == []


def test_stages_go_to_stderr_and_tables_to_stdout(tmp_path: Path, capsys: Captured) -> None:
    checkpoint = write_tiny_checkpoint(tmp_path / "checkpoint", encoder_layers=1, decoder_layers=1)
    output = tmp_path / "a folder whose name is [bold]rather[/bold] long" / ("x" * 90)
    capsys.readouterr()
    code = main(["--model", str(checkpoint), "--output", str(output)])
    out, err = capsys.readouterr()
    assert code == 0
    stages = [re.fullmatch(r"(.+): \d+\.\d s", line) for line in err.splitlines()]
    names = [stage[1] for stage in stages if stage]
    assert len(names) == len(stages)
    assert names[:3] == ["read checkpoint", "trace encoder", "trace decoder_step"]
    assert names[-2:] == ["verify", "publish"]
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == f"{output}: summarization, target ort, fp32"
    assert lines[-1] == f"next: pegasus-summarize '{output}' article.txt"
    assert max(map(len, lines[1:-1])) <= 80
    for pattern in (
        r" +weights\.bin +\d+\.\d kB",
        r" +total +\d+\.\d kB",
        r" +decoder_step +\d\.\de-0\d +\d\.\de-0\d +\d\.\de-0\d",
        r"done in \d+\.\d s",
    ):
        assert [line for line in lines if re.fullmatch(pattern, line)], pattern
    assert "\x1b" not in out + err


def test_json_describes_the_bundle_and_nothing_else_is_printed(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, capsys: Captured
) -> None:
    output = tmp_path / "bundle"
    code = main(["--model", str(tiny_checkpoint(CAUSAL)), "--output", str(output), "--json"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    record = json.loads(out)
    manifest = open_bundle(output).manifest
    assert record.pop("seconds") > 0
    assert record == {
        "output": str(output),
        "task": "text-generation",
        "target": "ort",
        "precision": "fp32",
        "recipe": {},
        "files": {name: file.bytes for name, file in manifest.files.items()},
        "verification": manifest.verification,
        "notes": [],
    }


@on_posix
def test_a_terminal_gets_bars(tmp_path: Path, tiny_checkpoint: TinyCheckpoint) -> None:
    import pty

    reader, writer = pty.openpty()
    arguments = ("--model", tiny_checkpoint(CAUSAL), "--output", tmp_path / "bundle")
    process = _start(*arguments, stdout=writer, stderr=writer)
    os.close(writer)
    shown = b"".join(_read_terminal(reader))
    assert process.wait(timeout=TIMEOUT_S) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert b"\x1b[" in shown
    assert re.search(r"trace decoder_step +━+ \d:\d\d:\d\d", text)
    assert re.search(r"write weights +━+ \d:\d\d:\d\d \d+", text)
    assert re.search(r"done in \d+\.\d s", text)


def _read_terminal(reader: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(reader, 4096)
        except OSError:  # how Linux says that the other side has closed
            data = b""
        if not data:
            os.close(reader)
            return
        yield data


@pytest.mark.parametrize("module", ["torch", "onnx_ir", "safetensors", "rich"])
def test_a_missing_library_names_the_extra(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, module: str
) -> None:
    model = ["--model", str(tiny_checkpoint(SEQ2SEQ))]
    done = _run_without(module, *model, "--output", tmp_path / "bundle")
    assert (done.returncode, done.stdout) == (2, "")
    expected = f"{module} is not installed: pip install 'pegasus-edge\\[export\\]'"
    _assert_one_line(done.stderr, expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "/none/here"], "/none/here does not exist"),
        (["--model", "./none"], "./none does not exist"),
        (["--model", "/", "--target", "tpu"], "target 'tpu' is not known"),
        (["--model", "/", "--output", "/"], "output folder exists: /: choose another"),
    ],
)
def test_what_can_be_found_without_torch_is_found_before_it_is_imported(
    tmp_path: Path, options: list[str], says: str
) -> None:
    done = _run_without("torch", "--output", tmp_path / "bundle", *options)
    assert done.returncode == 2
    _assert_one_line(done.stderr, says)
    assert list(tmp_path.iterdir()) == []


def test_help_fits_a_terminal_and_names_every_choice(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for word in ("ort", "onnx", "fp32", "summarization", "feature-extraction", "text-generation"):
        assert re.search(rf"\b{word}\b", text), word
    for option in ("--max-source-tokens N", "--force", "--json", "--quiet", "--revision REV"):
        assert option in text
