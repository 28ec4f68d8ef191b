"""pegasus-build as a user meets it: what it prints, what it refuses, what it leaves behind."""

import errno
import json
import os
import re
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from engines.tiny_bundle import manifest_of, write_tiny_bundle
from pegasus_engines.command import build
from pegasus_engines.command.build import main
from pegasus_engines.command.report import format_size, print_differences
from pegasus_engines.inspect.compare import OutputDifference
from pegasus_engines.progress import Advance
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.native.gpu import current_capability

GPU = ("--compute-capability", "8.9")
ABSENT = ("torch", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "polygraphy", "rich", "cuda")
Captured = pytest.CaptureFixture[str]

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")

needs_no_gpu = pytest.mark.skipif(current_capability() is not None, reason="there is a GPU")

WITHOUT = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
from pegasus_engines.command.build import main
code = main(sys.argv[1:])
print(*sorted(set({ABSENT!r}) & set(sys.modules)))
sys.exit(code)
"""


@pytest.fixture
def graphs(tmp_path: Path) -> Path:
    """The folder of a bundle of graphs."""
    return write_tiny_bundle(tmp_path / "graphs", manifest_of("trt-rtx")).folder


def assert_one_line(text: str, expected: str) -> None:
    assert re.fullmatch(r"pegasus-build: error: [^\n]+\n", text), text
    assert re.search(expected, text), text


def assert_refused(captured: Captured, graphs: Path, *arguments: str | Path, says: str) -> None:
    """One line on stderr, exit code 2, and no folder more than before."""
    before = sorted(graphs.parent.iterdir())
    captured.readouterr()
    assert main([str(graphs), *map(str, arguments), "--quiet"]) == 2
    out, err = captured.readouterr()
    assert_one_line(err, says)
    assert out == ""
    assert sorted(graphs.parent.iterdir()) == before


def test_plans_stand_beside_their_graphs_and_are_described(graphs: Path, capsys: Captured) -> None:
    assert main([str(graphs), *GPU]) == 0
    out, err = capsys.readouterr()
    first, *files, last = out.splitlines()
    assert re.fullmatch(
        rf"{graphs}-plans: plans of TensorRT for RTX [\d.]+ for compute capability 8\.9", first
    )
    built = open_bundle(f"{graphs}-plans", check_hashes=True)
    assert [line.split()[0] for line in files] == sorted(built.manifest.files)
    assert last == f"next: pegasus-summarize {graphs}-plans article.txt"
    assert re.fullmatch(r"build decoder_step: [\d.]+ s\nbuild encoder: [\d.]+ s\n", err)
    assert open_bundle(graphs).manifest.plans.version is None


def test_an_output_that_exists_is_replaced_if_that_is_asked_for(
    graphs: Path, tmp_path: Path, capsys: Captured
) -> None:
    output = ("--output", str(tmp_path / "plans"))
    assert main([str(graphs), *output, *GPU, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    says = "output folder exists: .*plans: choose another or pass --force"
    assert_refused(capsys, graphs, *output, *GPU, says=says)
    assert main([str(graphs), *output, "--force", "--json"]) == 0
    out, err = capsys.readouterr()
    printed = json.loads(out)
    assert printed["output"] == str(tmp_path / "plans")
    assert printed["plans"]["compute_capabilities"] == ["8.6", "8.9", "12.0"]
    assert err == ""


@pytest.mark.parametrize("output", ["graphs", ".", "graphs/../graphs"])
def test_graphs_are_never_replaced(graphs: Path, capsys: Captured, output: str) -> None:
    replaced = graphs.parent / output
    says = "has the graphs to build from, which stay: choose another folder"
    assert_refused(capsys, graphs, *GPU, "--force", "--output", replaced, says=says)
    assert sorted(graphs.rglob("*.onnx"))


def test_plans_of_the_current_folder_stand_beside_it(
    graphs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(graphs)
    assert main([".", *GPU, "--quiet"]) == 0
    assert open_bundle(graphs.with_name("graphs-plans")).manifest.plans is not None
    assert main(["/", *GPU]) == 2
    assert_one_line(capsys.readouterr().err, "not a bundle: / has no manifest.json")


def test_it_needs_neither_torch_nor_onnx_nor_what_else_a_device_may_lack(graphs: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(graphs), *GPU, "--json"], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("}\n\n")


def test_it_loads_neither_torch_nor_onnx_where_they_are_installed(graphs: Path) -> None:
    script = (
        "import sys; from pegasus_engines.command.build import main;"
        f"code = main([{str(graphs)!r}, '--compute-capability', '8.9', '--quiet']);"
        f"print(code, *sorted(set({ABSENT!r}) & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("0\n", "")


def test_paths_that_a_system_refuses_are_refused_in_one_line(
    graphs: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    long = tmp_path / ("x" * 300)
    assert_refused(capsys, long, *GPU, says="x: File name too long: check the path$")
    assert_refused(capsys, tmp_path / "loop", *GPU, says="not a bundle: .*loop is not a folder")
    says = r"x cannot be written \(File name too long\): free some space, or choose another folder"
    assert_refused(capsys, graphs, *GPU, "--output", long, says=says)
    says = "output is a file: .*loop: choose another"
    assert_refused(capsys, graphs, *GPU, "--output", tmp_path / "loop", "--force", says=says)


def test_what_is_no_bundle_of_graphs_is_refused(
    graphs: Path, tmp_path: Path, capsys: Captured
) -> None:
    ort = write_tiny_bundle(tmp_path / "ort", manifest_of("ort")).folder
    says = "ort is for target ort, which has no plans: export with --target trt or trt-rtx, and"
    assert_refused(capsys, ort, says=says)
    assert_refused(capsys, tmp_path / "none", says="not a bundle: .*none is not a folder")
    assert main([str(graphs), *GPU, "--quiet"]) == 0
    plans = tmp_path / "graphs-plans"
    assert_refused(capsys, plans, *GPU, says="and no graphs: export the checkpoint again, with")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--compute-capability", "8.9,3.5"], r"does not build for compute capability 3\.5: it"),
        (["--timing-cache", "timings"], "has no timing cache: leave it out"),
        (["--plugin", "aot"], "takes no plugins: leave out how to bring one in"),
        (["--workspace-mib", "0"], "workspace is 0 MiB, expected from 1 to 1048576"),
        (["--workspace-mib", str(2**63)], f"workspace is {2**63} MiB, expected from 1 to 1048576"),
    ],
)
def test_an_option_that_is_unusable_is_refused_in_one_line(
    graphs: Path, capsys: Captured, options: list[str], says: str
) -> None:
    assert_refused(capsys, graphs, *options, says=says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: GRAPHS: see pegasus-build --help"),
        (["g", "--shiny"], "unrecognized arguments: --shiny: see pegasus-build --help"),
        (["g", "--compute-capability", "sm89"], "'sm89', expected current, or such as 8.6,8.9: se"),
    ],
)
def test_what_cannot_be_parsed_is_refused_in_one_line(
    capsys: Captured, arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert_one_line(capsys.readouterr().err, says)


@needs_no_gpu
def test_a_gpu_that_is_needed_and_not_there_is_named(
    graphs: Path, tmp_path: Path, capsys: Captured
) -> None:
    says = "builds for the GPU at hand, and there is none: name the GPUs to build for"
    assert_refused(capsys, graphs, "--compute-capability", "current", says=says)
    says = "a plan can be opened on a GPU only, and there is none"
    assert_refused(capsys, graphs, *GPU, "--compare", says=says)


def test_a_disk_that_is_full_is_named(
    graphs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def full(source: Path, output: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    says = r"graphs-plans cannot be written \(No space left on device\): free some space, or choose"
    assert_refused(capsys, graphs, *GPU, says=says)


def test_an_interrupt_leaves_nothing_behind(
    graphs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def interrupted(name: str, **totals: int) -> AbstractContextManager[Advance]:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "choose_progress", lambda *, quiet: interrupted)
    assert main([str(graphs), *GPU]) == 130
    assert_one_line(capsys.readouterr().err, "interrupted: nothing was written")
    assert list(graphs.parent.iterdir()) == [graphs]


def test_the_help_tells_what_it_is_for_with_examples_and_exit_codes(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for part in ("neither torch nor onnx", "examples:\n  pegasus-build xsum-onnx\n", "exit codes:"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80


def test_differences_are_printed_an_output_a_line(capsys: Captured) -> None:
    near = OutputDifference(output="y", max_abs=1e-3, mean_abs=1e-4, max_rel=1.0)
    print_differences({"encoder": (near, replace(near, output="z", max_abs=0.25))})
    assert capsys.readouterr().out == (
        "encoder, y: largest difference 1.0e-03, mean 1.0e-04\n"
        "encoder, z: largest difference 2.5e-01, mean 1.0e-04\n"
    )


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [(999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (2_282_000_000, "2.28 GB")],
)
def test_a_size_has_a_unit_that_can_be_read(num_bytes: int, shown: str) -> None:
    assert format_size(num_bytes) == shown
