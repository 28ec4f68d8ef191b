"""Tables of figures: how they are shown, and that the pages show what docs/figures says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from render_figures import REPOSITORY, FigureError, find_pages, main, render_page

from harness.table import Column, Table, format_columns

FIGURES = REPOSITORY / "docs" / "figures"
TABLE = Table(
    columns=(
        Column(title="xsum"),
        Column(title="time", unit="s", digits=2),
        Column(title="tokens"),
        Column(title="drop", digits=1, signed=True),
        Column(title="error", digits=1, scientific=True),
        Column(title="nothing"),
    ),
    rows=(
        ("pegasus-edge int8", 4.358, 24577, 0.04, 5.5e-5, None),
        ("peer", 10.2, None, 1, 20, None),
    ),
)
MADE = {"command": "python benchmarks/latency.py", "commit": "abc", "date": "2026-11-21"}
REPORT = {
    "made": MADE,
    "machine": {"cpu": "A CPU", "cores": 2},
    "tables": {"latency": TABLE.to_json(), "other": TABLE.to_json()},
}


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    folder = tmp_path / "docs" / "figures"
    folder.mkdir(parents=True)
    (folder / "latency.json").write_text(json.dumps(REPORT))
    return folder


def test_a_table_is_shown_as_text_and_as_markdown() -> None:
    assert TABLE.text().splitlines()[1:] == [
        "pegasus-edge int8   4.36 s  24,577  +0.0  5.5e-5",
        "peer               10.20 s          +1.0   2.0e1",
    ]
    assert TABLE.markdown().splitlines() == [
        "| xsum | time | tokens | drop | error |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| **pegasus-edge int8** | 4.36 s | 24,577 | +0.0 | 5.5e-5 |",
        "| peer | 10.20 s |  | +1.0 | 2.0e1 |",
    ]


def test_a_table_survives_its_file() -> None:
    assert Table.from_json(json.loads(json.dumps(TABLE.to_json()))) == TABLE


def test_a_cell_has_the_names_of_its_row_and_column() -> None:
    assert TABLE.cell("peer", "time") == 10.2
    with pytest.raises(KeyError, match=r"there is no row 'pear': 'pegasus-edge int8', 'peer'"):
        TABLE.cell("pear", "time")
    with pytest.raises(KeyError, match=r"there is no column 'tme': 'xsum', 'time'"):
        TABLE.cell("peer", "tme")


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"row \('a',\) has 2 cells, not 1"):
        Table(columns=(Column(title="x"),), rows=(("a", 1),))


def test_the_first_column_is_to_the_left_and_the_others_to_the_right() -> None:
    table = format_columns([("", "time"), ("ours", "1 s"), ("theirs", "10 s")])
    assert table.splitlines() == ["        time", "ours     1 s", "theirs  10 s"]


def test_a_page_gets_tables_with_their_source_and_figures_in_a_line(figures: Path) -> None:
    page = (
        "Fast.\n\n<!-- figures: latency -->\nold\n<!-- /figures -->\n\n"
        "<!-- figures: latency/other bare -->\n<!-- /figures -->\n"
        "In <!-- figure: latency | peer | time -->9 s<!-- /figure -->.\n"
        "```\n<!-- figures: nothing -->\n<!-- /figures -->\n```\n"
    )
    rendered = render_page(page, figures)
    source = "*`python benchmarks/latency.py`; A CPU, 2 cores; commit abc, 2026-11-21.*"
    table = TABLE.markdown()
    assert rendered == (
        f"Fast.\n\n<!-- figures: latency -->\n\n{table}\n\n{source}\n\n<!-- /figures -->\n\n"
        f"<!-- figures: latency/other bare -->\n\n{table}\n\n<!-- /figures -->\n"
        "In <!-- figure: latency | peer | time -->10.20 s<!-- /figure -->.\n"
        "```\n<!-- figures: nothing -->\n<!-- /figures -->\n```\n"
    )
    assert render_page(rendered, figures) == rendered


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- figures: speed -->\n<!-- /figures -->", "there are no figures 'speed': latency"),
        ("<!-- figures: latency/x -->\n<!-- /figures -->", "has no table 'x': latency, other"),
        ("<!-- figure: latency | pear | time --><!-- /figure -->", "there is no row 'pear'"),
        ("<!-- figures: latency -->\n", "is not closed by its"),
    ],
)
def test_a_page_that_asks_for_what_is_not_there_is_refused(
    figures: Path, page: str, message: str
) -> None:
    with pytest.raises(FigureError, match=message):
        render_page(page, figures)


def test_the_line_below_a_table_tells_what_ran(figures: Path) -> None:
    notes = ["ours: kernels 0.1.0 (avx512)", "libraries held to AVX2"]
    (figures / "latency.json").write_text(json.dumps({**REPORT, "notes": notes}))
    page = render_page("<!-- figures: latency -->\n<!-- /figures -->", figures)
    assert "A CPU, 2 cores; ours: kernels 0.1.0 (avx512); libraries held to AVX2; commit" in page


def test_a_page_that_is_old_is_named_and_mended(
    figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "README.md"
    page.write_text("<!-- figures: latency -->\n<!-- /figures -->\n")
    root = ["--root", str(tmp_path)]
    assert main([*root, "--check"]) == 1
    error = "error: README.md is not what docs/figures says: make figures\n"
    assert capsys.readouterr().err == error
    assert main(root) == 0
    assert main([*root, "--check"]) == 0
    page.write_text("<!-- figures: speed -->\n<!-- /figures -->\n")
    assert main(root) == 2
    assert "README.md: there are no figures 'speed'" in capsys.readouterr().err


def test_the_pages_of_the_repository_show_what_docs_figures_says() -> None:
    assert {"README.md"} <= {path.name for path in find_pages(REPOSITORY)}
    assert main(["--check"]) == 0


@pytest.mark.parametrize("path", sorted(FIGURES.glob("*.json")), ids=lambda path: path.stem)
def test_a_file_of_figures_says_what_was_asked_run_where_and_when(path: Path) -> None:
    report = json.loads(path.read_text("utf-8"))
    assert report["question"].endswith(("?", "."))
    assert {"command", "commit", "date"} <= set(report["made"])
    assert {"cpu", "cores"} <= set(report["machine"])
    for content in report["tables"].values():
        assert Table.from_json(content).rows


@pytest.mark.parametrize("path", sorted(FIGURES.glob("*.json")), ids=lambda path: path.name)
def test_figures_name_no_path_of_the_machine_they_were_made_on(path: Path) -> None:
    assert not re.findall(r'"(/[^"]*|[A-Z]:\\[^"]*)"', path.read_text("utf-8"))
