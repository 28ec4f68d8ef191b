"""The calibration files of the demo checkpoints."""

from pathlib import Path

import pytest

from pegasus_export.measure.documents import read_calibration
from wire_reports import Report, generate_long_report, generate_report
from write_calibration import CALIBRATION_SEEDS, LONG_CALIBRATION_SEEDS, write_calibration

CHECKPOINTS = Path(__file__).parents[2] / "examples" / "checkpoints"


@pytest.mark.parametrize(
    ("name", "reports"),
    [
        ("pegasus-mini", [generate_report(seed) for seed in CALIBRATION_SEEDS]),
        ("bigbird-mini", [generate_long_report(seed) for seed in LONG_CALIBRATION_SEEDS]),
    ],
)
def test_the_stored_files_are_what_the_command_writes(
    name: str, reports: list[Report], tmp_path: Path
) -> None:
    written = write_calibration(reports, tmp_path)
    assert written.read_bytes() == (CHECKPOINTS / name / written.name).read_bytes()
    documents = read_calibration(written)
    assert [each.text for each in documents] == [report.document for report in reports]
    assert all(each.summary for each in documents)
