"""Gathers the site's pages: docs/, and what stands elsewhere in the repository, in one folder.

python docs/site/gather_pages.py build/pages

Links are rewritten to where their files are on the site. One that leads to a file that is no page
and no picture ends the build, as the site would not have it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "plugins/README.md": "plugin.md",
    "examples/README.md": "examples.md",
}
PICTURES = (".png", ".svg")

_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^<!--(?:(?!-->).)*-->\n|<!--.*?-->", re.MULTILINE)  # of figures, rooms


def find_pages(repository: Path) -> dict[str, str]:
    """Files of the repository to pages of the site."""
    own = sorted((repository / "docs").glob("*.md"))
    return {**ELSEWHERE, **{f"docs/{path.name}": path.name for path in own}}


def rewrite_links(text: str, source: str, pages: Mapping[str, str]) -> tuple[str, set[str]]:
    """The text of file `source` with the links of the site, and the pictures that it shows.

    Comments, which hold figures and rooms for the scripts that write them, are left out.

    Raises: ValueError for a link that the site cannot follow.
    """
    pictures: set[str] = set()

    def rewrite(match: re.Match[str]) -> str:
        target, _, anchor = match[2].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = os.path.normpath(PurePosixPath(source).parent / target)
        if path.endswith(PICTURES):
            pictures.add(path)
            found = f"images/{PurePosixPath(path).name}"
        elif path in pages:
            found = pages[path]
        else:
            raise ValueError(f"{source}: {match[2]} is no page of the site: name it, without link")
        return f"{match[1]}{found}{'#' + anchor if anchor else ''}{match[3]}"

    parts = _FENCED.split(text)
    parts[::2] = [_LINK.sub(rewrite, _COMMENT.sub("", part)) for part in parts[::2]]
    return "".join(parts), pictures


def gather(repository: Path, output: Path) -> None:
    """Writes all pages and pictures to the folder `output`, which is emptied before."""
    shutil.rmtree(output, ignore_errors=True)
    (output / "images").mkdir(parents=True)
    pages = find_pages(repository)
    for source, page in pages.items():
        text = (repository / source).read_text("utf-8")
        text, pictures = rewrite_links(text, source, pages)
        (output / page).write_text(text, "utf-8")
        for picture in pictures:
            shutil.copyfile(repository / picture, output / "images" / PurePosixPath(picture).name)
    for style in sorted((repository / "docs" / "site").glob("*.css")):
        shutil.copyfile(style, output / style.name)


if __name__ == "__main__":
    try:
        gather(REPOSITORY, Path(sys.argv[1]))
    except ValueError as err:
        sys.exit(f"gather_pages: {err}")
