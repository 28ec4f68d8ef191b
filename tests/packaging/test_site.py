"""What the site is made of: gathered pages, docstrings as Markdown, the picture of the house."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import tomllib

import pegasus_runtime
from docstring_markdown import markdown_from_docstring
from draw_house import PAGE, PICTURE, draw_house, read_floors, write_table
from gather_pages import ELSEWHERE, find_pages, gather, rewrite_links

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = find_pages(REPOSITORY)
FLOORS = read_floors(REPOSITORY / "tests" / "packaging" / "test_floors.py")
MAX_README_LINES = 150


def test_the_readme_fits_three_screens() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("source", [name for name in PAGES if name.startswith("docs/")])
def test_a_page_opens_with_what_its_reader_can_do_after_it(source: str) -> None:
    title, opening = (REPOSITORY / source).read_text("utf-8").split("\n\n")[:2]
    assert title.startswith("# ")
    assert opening.startswith("After this page you ")


def test_every_page_stands_in_the_navigation_once() -> None:
    project = tomllib.loads((REPOSITORY / "zensical.toml").read_text("utf-8"))["project"]
    named = re.findall(r"'(\S+\.md)'", str(project["nav"]))
    assert sorted(named) == sorted(PAGES.values())


def test_every_public_name_stands_in_the_reference() -> None:
    page = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
    shown = re.findall(r"^::: pegasus_runtime\.(\w+)$", page, re.MULTILINE)
    assert sorted(shown) == sorted(
        name for name in pegasus_runtime.__all__ if callable(getattr(pegasus_runtime, name))
    )


def test_every_public_class_and_method_has_a_docstring() -> None:
    missing = []
    for name in pegasus_runtime.__all__:
        offered = getattr(pegasus_runtime, name)
        if not inspect.isclass(offered):
            continue
        members = {
            key: value
            for key, value in inspect.getmembers(offered)
            if not key.startswith("_") and (inspect.isroutine(value) or isinstance(value, property))
        }
        own = [key for key in members if not hasattr(BaseException, key)]
        missing += [f"{name}.{key}" for key in own if not inspect.getdoc(members[key])]
        missing += [] if "__doc__" in vars(offered) and offered.__doc__ else [name]
    assert missing == []


def test_every_field_of_a_public_class_is_explained_below_it() -> None:
    missing = []
    for name in pegasus_runtime.__all__:
        offered = getattr(pegasus_runtime, name)
        if not is_dataclass(offered):
            continue
        source = inspect.getsource(offered)  # type: ignore[arg-type]
        missing += [
            f"{name}.{field.name}"
            for field in fields(offered)
            if not re.search(rf'^    {field.name}: .*\n    """', source, re.MULTILINE)
        ]
    assert missing == []


def test_links_lead_to_where_their_files_are_on_the_site() -> None:
    text = "[a](../plugins/README.md#limits) [b](jetson.md) [c](#here) ![d](figures/scaling.png)\n"
    rewritten, pictures = rewrite_links(text, "docs/gpus.md", PAGES)
    assert rewritten == "[a](plugin.md#limits) [b](jetson.md) [c](#here) ![d](images/scaling.png)\n"
    assert pictures == {"docs/figures/scaling.png"}


def test_links_to_other_hosts_and_code_stay_as_they_are() -> None:
    text = "[a](https://semver.org)\n```python\nx[0](y.md)\n```\n"
    assert rewrite_links(text, "README.md", PAGES) == (text, set())


def test_a_link_to_what_is_no_page_ends_the_build() -> None:
    with pytest.raises(ValueError, match=r"README.md: Makefile is no page of the site: name it"):
        rewrite_links("[a](Makefile)", "README.md", PAGES)


def test_comments_around_figures_are_left_out() -> None:
    figure = "<!-- figure: a -->4 s<!-- /figure -->"
    text = f"<!-- figures: a -->\n| b |\n<!-- /figures -->\nin {figure}\n{figure}\n"
    assert rewrite_links(text, "README.md", PAGES)[0] == "| b |\nin 4 s\n4 s\n"


def test_all_pages_and_their_pictures_are_gathered(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("left from another build")
    gather(REPOSITORY, tmp_path)
    assert {path.name for path in tmp_path.glob("*.md")} == set(PAGES.values())
    assert (tmp_path / "index.md").read_text("utf-8").startswith("# pegasus-edge")
    assert (tmp_path / "images" / "house.svg").read_text() == PICTURE.read_text()
    assert set(ELSEWHERE.values()) < set(PAGES.values())


def test_arguments_and_errors_of_a_docstring_get_lines_of_their_own() -> None:
    text = "Runs.\n\nx: a size. y, z: two\nmore; told. Raises: InputError, and more.\n"
    assert markdown_from_docstring(text, names=("x", "y", "z"), errors=("InputError",)) == (
        "Runs.\n\n- **x**: a size.\n\n- **y**, **z**: two more; told.\n\n"
        "**Raises** [InputError][pegasus_runtime.InputError], and more."
    )


def test_examples_of_a_docstring_become_code() -> None:
    text = 'Runs.\n\n>>> with load("a") as b:     # doctest: +SKIP\n...     b.run()\n4\n'
    assert markdown_from_docstring(text) == (
        'Runs.\n\n```python\nwith load("a") as b:\n    b.run()\n# 4\n```'
    )


def test_words_before_a_colon_that_are_no_arguments_stay_in_their_sentence() -> None:
    text = "One of two: x or y.\n\n- x: of a list"
    assert markdown_from_docstring(text, names=("y",)) == text


def test_the_picture_shows_the_floors_as_they_are() -> None:
    assert PICTURE.read_text("utf-8") == draw_house(FLOORS), "make house"


def test_the_table_of_rooms_says_what_the_docstrings_say() -> None:
    page = PAGE.read_text("utf-8")
    assert page == write_table(page, FLOORS, REPOSITORY), "make house"


def test_every_room_is_drawn_and_has_a_purpose() -> None:
    picture, page = draw_house(FLOORS), PAGE.read_text("utf-8")
    for folder, levels in FLOORS.items():
        for room in (room for level in levels for room in level):
            assert f">{room}</text>" in picture
            assert re.search(rf"\| `{folder.partition('/')[2]}/{room}` \| \w", page)


def test_floors_are_read_from_the_test_that_holds_them(tmp_path: Path) -> None:
    test = tmp_path / "test_floors.py"
    test.write_text('import pytest\nFLOORS: Mapping[str, Floors] = {"a/b": (("c",), ("d", "e"))}\n')
    assert read_floors(test) == {"a/b": (("c",), ("d", "e"))}
    test.write_text("")
    with pytest.raises(ValueError, match=r"test_floors.py: has no FLOORS"):
        read_floors(test)
