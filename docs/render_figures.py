"""Writes the figures of docs/figures into the pages that show them.

A page asks for a table, or for a single figure within a line, by the name of a JSON file (and of
the table in it, where it has several):

    <!-- figures: latency -->                     the table of docs/figures/latency.json
    <!-- /figures -->
    <!-- figures: long_documents/memory bare -->  without the line that says where it is from
    <!-- /figures -->
    <!-- figure: latency | CTranslate2 int8 | x ours -->2.34<!-- /figure -->

What stands between the two comments is replaced: never edit it, but run the benchmark again with
`--json docs/figures/NAME.json`, and this script.

    python docs/render_figures.py             # or: make figures
    python docs/render_figures.py --check     # exit status 1 if a page is out of date
    python docs/render_figures.py --plots     # draw the plots of docs/figures anew, too
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from harness.table import Table

PAGES = ("README.md", "docs/**/*.md", "plugins/*.md", "examples/*.md")
_BLOCK = re.compile(r"(<!-- figures: (.*?) -->\n).*?(<!-- /figures -->)", re.DOTALL)
_CELL = re.compile(r"(<!-- figure: ([^|\n]*?)\|([^|\n]*?)\|([^|\n]*?)-->).*?(<!-- /figure -->)")
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


class FigureError(Exception):
    """A page asks for a figure that is not there."""


def find_pages(root: Path) -> list[Path]:
    return sorted({path for pattern in PAGES for path in root.glob(pattern)})


def render_page(text: str, figures: Path) -> str:
    """The page with what the files in the folder ``figures`` say. Raises: FigureError."""
    fences: list[str] = []

    def hide(match: re.Match[str]) -> str:
        fences.append(match[0])
        return f"\0{len(fences) - 1}\0"

    def block(match: re.Match[str]) -> str:
        name, _, bare = match[2].partition(" ")
        report, table = _find(name, figures)
        source = "" if bare == "bare" else f"*{_source(report)}*\n\n"
        return f"{match[1]}\n{table.markdown()}\n\n{source}{match[3]}"

    def cell(match: re.Match[str]) -> str:
        _, table = _find(match[2].strip(), figures)
        try:
            shown = table.shown(match[3].strip(), match[4].strip())
        except KeyError as err:
            raise FigureError(f"{match[1]}: {err.args[0]}") from err
        return f"{match[1]}{shown}{match[5]}"

    if text.count("<!-- figure") != text.count("<!-- /figure"):
        raise FigureError("a <!-- figure … --> is not closed by its <!-- /figure… -->")
    rendered = _CELL.sub(cell, _BLOCK.sub(block, _FENCE.sub(hide, text)))
    return re.sub("\0(\\d+)\0", lambda match: fences[int(match[1])], rendered)


def _find(name: str, figures: Path) -> tuple[Mapping[str, Any], Table]:
    """The report, and the table of it, that NAME or NAME/TABLE stands for."""
    file, _, asked = name.partition("/")
    path = figures / f"{file}.json"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in figures.glob("*.json")))
        raise FigureError(f"there are no figures {file!r}: {known}")
    report = json.loads(path.read_text("utf-8"))
    tables = report["tables"]
    asked = asked or (next(iter(tables)) if len(tables) == 1 else file)
    if asked not in tables:
        raise FigureError(f"{path.name} has no table {asked!r}: {', '.join(tables)}")
    return report, Table.from_json(tables[asked])


def _source(report: Mapping[str, Any]) -> str:
    """What was run where, in a line."""
    machine, made = report["machine"], report["made"]
    where = [str(machine.get("gpu") or machine["cpu"]), f"{machine['cores']} cores"]
    if machine.get("packages"):
        where.append(str(machine["packages"]))
    origin = made.get("recorded_from")
    recorded = f"recorded from {origin}, " if origin else ""
    when = f"{recorded}commit {made['commit']}, {made['date']}"
    notes = "".join(f"; {note}" for note in report.get("notes", ()))
    return f"`{made['command']}`; {', '.join(where)}{notes}; {when}."


def main(argv: Sequence[str] | None = None) -> int:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, name what is old")
    parser.add_argument("--plots", action="store_true", help="draw plots anew (matplotlib)")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="default: the repository")
    arguments = parser.parse_args(argv)
    figures = arguments.root / "docs" / "figures"
    if arguments.plots:
        from harness.plots import draw_report

        for path in sorted(figures.glob("*.json")):
            if "plot" in json.loads(path.read_text("utf-8")):
                print(draw_report(path).relative_to(arguments.root))
    status = 0
    for page in find_pages(arguments.root):
        text, name = page.read_text("utf-8"), page.relative_to(arguments.root)
        try:
            rendered = render_page(text, figures)
        except FigureError as err:
            print(f"error: {name}: {err}", file=sys.stderr)
            return 2
        if rendered == text:
            continue
        if arguments.check:
            print(f"error: {name} is not what docs/figures says: make figures", file=sys.stderr)
            status = 1
            continue
        page.write_text(rendered, "utf-8")
        print(name)
    return status


if __name__ == "__main__":
    sys.exit(main())
