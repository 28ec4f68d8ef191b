"""Writes held-out reports of different kinds and lengths to ``articles/``, one per file.

Run in the folder of this file:  python write_articles.py
"""

from __future__ import annotations

from pathlib import Path

from wire_reports import HELD_OUT_SEEDS, generate_report

__all__ = ["ARTICLE_SEEDS", "write_articles"]

# Beyond the 500 reports that the evaluation uses.
ARTICLE_SEEDS = tuple(HELD_OUT_SEEDS[i] for i in (625, 623, 649, 627, 634, 601))


def write_articles(folder: Path) -> list[Path]:
    """One text file per seed, named after its kind: the document alone, on one line."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed in ARTICLE_SEEDS:
        report = generate_report(seed)
        path = folder / f"{report.kind}_{seed - HELD_OUT_SEEDS[0]}.txt"
        path.write_text(report.document + "\n", encoding="utf-8")
        paths.append(path)
    return paths


if __name__ == "__main__":
    for written in write_articles(Path(__file__).resolve().parent / "articles"):
        print(written.name)
