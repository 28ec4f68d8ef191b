"""Draws the house: the rooms of the packages, floor by floor, and a table of what each is for.

    python3 docs/site/draw_house.py     # writes docs/house.svg, and the table of its page

The floors are those of tests/packaging/test_floors.py, the words are the rooms' docstrings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

__all__ = ["draw_house", "read_floors", "write_table"]

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURE = REPOSITORY / "docs" / "house.svg"
PAGE = REPOSITORY / "docs" / "architecture.md"
_TABLE = re.compile(r"(<!-- rooms -->\n).*?(<!-- /rooms -->)", re.DOTALL)

Floors = tuple[tuple[str, ...], ...]

ROOM_HEIGHT, FLOOR_HEIGHT, GAP, MARGIN = 30, 42, 8, 20  # pixels, as all that follows
ROOF_HEIGHT, GROUND_HEIGHT = 54, 40
CHARACTER_WIDTH, PADDING = 8, 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """One package, or one room that has floors of its own."""

    name: str
    folder: str
    floors: Floors

    @property
    def width(self) -> int:
        return max(_title_width(self.name), *(_floor_width(floor) for floor in self.floors))


def read_floors(test: Path) -> dict[str, Floors]:
    """The table of the test that holds the floors; read, as the test's imports are not needed."""
    for node in ast.parse(test.read_text("utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "FLOORS" and node.value:
            floors: dict[str, Floors] = ast.literal_eval(node.value)
            return floors
    raise ValueError(f"{test}: has no FLOORS")


def draw_house(floors: Mapping[str, Floors]) -> str:
    """An SVG with a background of its own, legible on light and dark pages."""
    order = ("exporter", "engines", "runtime")  # as a checkpoint goes through them
    folders = sorted(floors, key=lambda folder: (order.index(folder.split("/")[0]), folder))
    buildings = [
        Building(name=_name(folder), folder=folder, floors=floors[folder]) for folder in folders
    ]
    packages = [each for each in buildings if each.folder.count("/") == 1]
    rooms = [each for each in buildings if each not in packages]
    width = max(map(_row_width, (packages, rooms)))
    lines: list[str] = []
    bottom = MARGIN
    for row, words in (
        (packages, "the bundle on disk: manifest.json, graphs or plans, weights, tokenizer"),
        (rooms, "rooms that have floors of their own"),
    ):
        ground = bottom + ROOF_HEIGHT + max(len(each.floors) for each in row) * FLOOR_HEIGHT
        lines += _draw_row(row, words, width, ground)
        bottom = ground + GROUND_HEIGHT + MARGIN
    height = bottom + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            "<title>The house: rooms of each package, floor by floor; imports go down</title>",
            "<style>text{font-family:ui-sans-serif,system-ui,sans-serif;font-size:14px;"
            "fill:#22303c;text-anchor:middle}.name{font-weight:600}"
            ".note{font-size:12px;fill:#5b6b78}</style>",
            f'<rect width="{width}" height="{height}" rx="10" fill="#f6f4ee"/>',
            *lines,
            f'<text class="note" x="{width // 2}" y="{height - 14}">imports go down, never up or '
            "across; a test prints the edge that does not</text>",
            "</svg>\n",
        ]
    )


def _row_width(row: list[Building]) -> int:
    return sum(building.width + 3 * MARGIN for building in row) + MARGIN


def _draw_row(row: list[Building], words: str, width: int, ground: int) -> Iterator[str]:
    left = MARGIN + (width - _row_width(row)) // 2
    for building in row:
        yield from _draw_building(building, left, ground)
        left += building.width + 3 * MARGIN
    yield (
        f'<rect x="{MARGIN}" y="{ground}" width="{width - 2 * MARGIN}" height="{GROUND_HEIGHT}" '
        'rx="3" fill="#7c8f6b"/>'
    )
    yield f'<text x="{width // 2}" y="{ground + 25}" style="fill:#ffffff">{words}</text>'


def _draw_building(building: Building, left: int, ground: int) -> Iterator[str]:
    top = ground - len(building.floors) * FLOOR_HEIGHT
    middle = left + MARGIN + building.width // 2
    right = left + 2 * MARGIN + building.width
    roof = f"M{left} {top} L{middle} {top - ROOF_HEIGHT} L{right} {top} Z"
    yield f'<path d="{roof}" fill="#b4553f"/>'
    yield (
        f'<text class="name" x="{middle}" y="{top - 10}" style="fill:#ffffff">'
        f"{building.name}</text>"
    )
    yield (
        f'<rect x="{left + MARGIN // 2}" y="{top}" width="{building.width + MARGIN}" '
        f'height="{ground - top}" fill="#e4dccb"/>'
    )
    for number, floor in enumerate(building.floors):
        base = ground - number * FLOOR_HEIGHT
        x = middle - _floor_width(floor) // 2
        for room in floor:
            width = _room_width(room)
            yield (
                f'<rect x="{x}" y="{base - FLOOR_HEIGHT + 6}" width="{width}" '
                f'height="{ROOM_HEIGHT}" rx="3" fill="#fffdf7" stroke="#c9bd9f"/>'
            )
            yield f'<text x="{x + width // 2}" y="{base - FLOOR_HEIGHT + 26}">{escape(room)}</text>'
            x += width + GAP


def _name(folder: str) -> str:
    parts = folder.split("/")
    return parts[0] if len(parts) == 2 else parts[-1]


def _room_width(room: str) -> int:
    return len(room) * CHARACTER_WIDTH + PADDING


def _floor_width(floor: tuple[str, ...]) -> int:
    return sum(map(_room_width, floor)) + GAP * (len(floor) - 1)


def _title_width(name: str) -> int:
    return 2 * len(name) * CHARACTER_WIDTH + PADDING


def write_table(page: str, floors: Mapping[str, Floors], repository: Path) -> str:
    """The page with a table of all rooms, the highest floor of each package first."""
    rows = ["| room | what it is for |", "|---|---|"]
    for folder, levels in floors.items():
        for level in reversed(levels):
            rows += [
                f"| `{folder.partition('/')[2]}/{room}` | {_purpose(repository / folder / room)} |"
                for room in level
            ]
    table = "\n".join(rows)
    return _TABLE.sub(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", page)


def _purpose(room: Path) -> str:
    """The first sentence of a room's docstring."""
    file = room / "__init__.py" if room.is_dir() else room.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split()).replace("|", "\\|")


def main() -> None:
    floors = read_floors(REPOSITORY / "tests" / "packaging" / "test_floors.py")
    page = PAGE.read_text("utf-8")
    new = {PICTURE: draw_house(floors), PAGE: write_table(page, floors, REPOSITORY)}
    old = [path for path, text in new.items() if not path.exists() or path.read_text() != text]
    for path in old:
        path.write_text(new[path], "utf-8")
        print(path.relative_to(REPOSITORY))


if __name__ == "__main__":
    main()
