"""Writes held-out reports of different kinds and lengths to ``articles/``, long ones to
``long_articles/``, one per file.

Run in the folder of this file:  python write_articles.py
"""

from __future__ import annotations

from pathlib import Path

from wire_reports import HELD_OUT_SEEDS, Report, generate_long_report, generate_report

__all__ = ["ARTICLE_SEEDS", "LONG_ARTICLE_SEEDS", "write_articles", "write_long_articles"]

# Beyond the 500 reports that the evaluation uses.
ARTICLE_SEEDS = tuple(HELD_OUT_SEEDS[i] for i in (625, 623, 649, 627, 634, 601))


LONG_ARTICLE_SEEDS = tuple(HELD_OUT_SEEDS[i] for i in (2006, 2011))


def write_articles(folder: Path) -> list[Path]:
    """One text file per seed, named after its kind: the document alone, on one line."""
    return _write({seed: generate_report(seed) for seed in ARTICLE_SEEDS}, folder)


def write_long_articles(folder: Path) -> list[Path]:
    """The same with reports of thousands of words."""
    return _write({seed: generate_long_report(seed) for seed in LONG_ARTICLE_SEEDS}, folder)


def _write(reports: dict[int, Report], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed, report in reports.items():
        path = folder / f"{report.kind}_{seed - HELD_OUT_SEEDS[0]}.txt"
        path.write_text(report.document + "\n", encoding="utf-8")
        paths.append(path)
    return paths


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    for written in (
        *write_articles(here / "articles"),
        *write_long_articles(here / "long_articles"),
    ):
        print(written.relative_to(here))
