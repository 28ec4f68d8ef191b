"""What an export says of itself, and the report that it writes."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from made_once import MadeOnce
from pegasus_export.command.report import print_tables, write_report
from pegasus_export.errors import OutputError
from pegasus_export.stages.export import ExportResult
from pegasus_export.verify.tokens import TokenChanges

TinyCheckpoint = Callable[..., Path]


@pytest.fixture
def result(made_once: MadeOnce, tiny_checkpoint: TinyCheckpoint) -> ExportResult:
    return made_once.export(model=str(tiny_checkpoint()), precision="int8")


def test_a_report_has_every_layer_and_a_picture(result: ExportResult, tmp_path: Path) -> None:
    write_report(result, tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["precision"] == "int8"
    assert report["layers"] == {
        "errors": dict(result.layer_errors),
        "formats": dict(result.layer_formats),
    }
    picture = (tmp_path / "report" / "layers.svg").read_text()
    assert all(name.removeprefix("model.") in picture for name in result.layer_errors)


def test_without_integers_there_is_no_picture(result: ExportResult, tmp_path: Path) -> None:
    write_report(dataclasses.replace(result, layer_errors={}), tmp_path / "report")
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["report.json"]


def test_a_report_that_cannot_be_written_says_that_the_bundle_is_there(
    result: ExportResult, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"report cannot be written to .*the bundle is complete"):
        write_report(result, tmp_path / "file")


@pytest.mark.parametrize(("changed", "is_fit"), [(19, True), (30, False)])
def test_a_bundle_that_is_not_fit_to_use_is_called_so(
    result: ExportResult, capsys: pytest.CaptureFixture[str], changed: int, is_fit: bool
) -> None:
    changes = TokenChanges(
        documents=2,
        documents_changed=1,
        tokens=100,
        tokens_changed=changed,
        worst_share=0.5,
        changed_by_batch=1,
    )
    print_tables(dataclasses.replace(result, changes=changes), Path("bundle"))
    shown = capsys.readouterr().out
    worst = next(iter(result.layer_errors))
    assert f"of {len(result.layer_errors)} in integers: {worst} 0." in shown
    assert f"{changed} of 100 tokens changed ({changed}.0%), in 1 of 2 summaries; in the" in shown
    assert "in a batch, 1 of 2 summaries are other than alone" in shown
    assert ("warning: not fit to use as it is, int8 changes 30% of the" in shown) is not is_fit
