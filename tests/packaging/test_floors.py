"""The rooms of each package lie one above the other: imports go down, never up or in a circle."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

Floors = tuple[tuple[str, ...], ...]
"""From the lowest up; rooms of one floor do not import each other. A room is a module, or a
package with all that it holds."""

FLOORS: Mapping[str, Floors] = {
    "runtime/pegasus_runtime": (
        ("errors", "spelling", "version"),
        ("bundle", "command_line", "native"),
        ("tokenization", "decoding", "hub"),
        ("search", "sessions"),
        ("generation",),
        ("tasks", "diagnosis"),
        ("pipelines", "batcher", "records"),
        ("commands",),
        ("scripts",),
    ),
    "runtime/pegasus_runtime/sessions": (
        ("device", "ort"),
        ("host", "cuda"),
        ("tensorrt",),
        ("open_engine",),
    ),
    "runtime/pegasus_serve": (
        ("settings",),
        ("wire",),
        ("served",),
        ("telemetry",),
        ("serving",),
        ("middleware", "routes"),
        ("app",),
        ("process",),
        ("scripts",),
    ),
    "exporter/pegasus_export": (
        ("errors",),
        ("request",),
        ("checkpoint",),
        ("models", "dialects", "tokenizer"),
        ("graphs",),
        ("passes", "measure", "generation"),
        ("verify",),
        ("clients", "triton"),
        ("stages",),
        ("command",),
        ("scripts",),
    ),
    "engines/pegasus_engines": (
        ("network", "targets", "weights", "ort", "progress"),
        ("precision",),
        ("plans",),
        ("inspect",),
        ("command",),
        ("scripts",),
    ),
    "engines/pegasus_engines/precision": (
        ("residual_shift", "int8", "compensated", "equalisation", "padded_weights"),
        ("int4", "recipe", "fp16"),
        ("quantize", "symmetric"),
        ("restore",),
        ("passes",),
        ("convert",),
    ),
}


def module_names(folder: Path) -> dict[str, str]:
    """Source of every module of a package, by its dotted name."""
    names = {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        names[name] = path.read_text()
    return names


def imported_modules(source: str, modules: Mapping[str, str]) -> set[str]:
    """Those of `modules` that a source imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in modules else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(modules)


def find_bad_edges(modules: Mapping[str, str], package: str, floors: Floors) -> list[str]:
    """Every import from one room of `package` into one that is not below it."""
    floor = {room: number for number, rooms in enumerate(floors) for room in rooms}

    def room_of(module: str) -> str | None:
        """None for the package's own __init__, and for what is outside it."""
        return module[len(package) + 1 :].split(".")[0] if is_below(module) else None

    def is_below(module: str) -> bool:
        return module.startswith(f"{package}.")

    bad = []
    for module, source in modules.items():
        room = room_of(module)
        if room is None:
            continue
        for target in sorted(imported_modules(source, modules)):
            other = room_of(target)
            if other is None or other == room:
                continue
            if floor[other] >= floor[room]:
                bad.append(f"{module} -> {target}")
    return bad


def find_circle(modules: Mapping[str, str]) -> list[str]:
    """Modules that import each other in a circle, the first again at the end; [] if none do."""
    arrows = {name: imported_modules(source, modules) for name, source in modules.items()}
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for target in sorted(arrows[name]):
            circle = walk(target, [*way, name])
            if circle:
                return circle
        done.add(name)
        return []

    return next(filter(None, (walk(name, []) for name in sorted(arrows))), [])


@pytest.mark.parametrize("folder", FLOORS)
def test_imports_go_down(folder: str) -> None:
    root = REPOSITORY.joinpath(*folder.split("/")[:2])
    package = ".".join(folder.split("/")[1:])
    bad = find_bad_edges(module_names(root), package, FLOORS[folder])
    assert not bad, "\n".join(["these imports go up, or across:", *bad])


@pytest.mark.parametrize("folder", FLOORS)
def test_every_room_has_a_floor(folder: str) -> None:
    rooms = {
        path.stem
        for path in (REPOSITORY / folder).iterdir()
        if path.stem != "__init__" and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert {room for floor in FLOORS[folder] for room in floor} == rooms


@pytest.mark.parametrize("folder", [folder for folder in FLOORS if folder.count("/") == 1])
def test_no_modules_import_each_other_in_a_circle(folder: str) -> None:
    circle = find_circle(module_names(REPOSITORY / folder))
    assert not circle, "in a circle: " + " -> ".join(circle)


def test_the_rule_prints_the_edge_that_breaks_it() -> None:
    modules = {
        "p": "from p.top import run",
        "p.low": "def f():\n    from p.top import run",
        "p.top": "import p.low",
        "p.side.a": "from p.side import b\nfrom p import low",
        "p.side.b": "from p.top import run",
        "p.side": "",
    }
    floors = (("low",), ("side", "top"))
    assert find_bad_edges(modules, "p", floors) == ["p.low -> p.top", "p.side.b -> p.top"]
    assert find_circle(modules) == ["p.top", "p.low", "p.top"]
    assert find_circle({"p.a": "import p.b", "p.b": "import os"}) == []
