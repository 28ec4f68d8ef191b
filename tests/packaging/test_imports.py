"""The house rules that a parser can check: who imports whom, what files and functions look like."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = {
    "pegasus_export": REPOSITORY / "exporter" / "pegasus_export",
    "pegasus_engines": REPOSITORY / "engines" / "pegasus_engines",
    "pegasus_plugins": REPOSITORY / "plugins" / "pegasus_plugins",
    "pegasus_runtime": REPOSITORY / "runtime" / "pegasus_runtime",
    "pegasus_serve": REPOSITORY / "runtime" / "pegasus_serve",
    "pegasus_ray": REPOSITORY / "runtime" / "pegasus_ray",
}
# errors: what the bundle and the tokenizer raise is part of them.
CONTRACT = ("pegasus_runtime.bundle", "pegasus_runtime.errors")
# Every command refuses arguments alike, and of one version; nothing that runs a model is in these.
COMMANDS = (
    "pegasus_runtime.command_line",
    "pegasus_runtime.spelling",
    "pegasus_runtime.version",
)
ALLOWED_OF_OURS = {
    "pegasus_export": (
        "pegasus_engines",
        "pegasus_plugins",
        "pegasus_runtime.tokenization",
        # A bundle is verified by what will run it, and refused for defaults that it cannot run.
        "pegasus_runtime.decoding",
        "pegasus_runtime.generation",
        "pegasus_runtime.search",
        "pegasus_runtime.sessions",
        "pegasus_runtime.native.child_python",
        # What is exported by name lies where the runtime looks for it, and hubs fail alike.
        "pegasus_runtime.hub",
        *CONTRACT,
        *COMMANDS,
    ),
    "pegasus_engines": ("pegasus_plugins", "pegasus_runtime.native", *CONTRACT, *COMMANDS),
    "pegasus_plugins": (),
    # TensorRT's plugin, which builds need too, for plans that call it (docs/architecture.md), and
    # how CUDA is called, which the plugin's launches need without the runtime.
    "pegasus_runtime": ("pegasus_plugins.ways", "pegasus_plugins.cuda_calls"),
    "pegasus_serve": ("pegasus_runtime",),
    "pegasus_ray": ("pegasus_runtime", "pegasus_serve"),
}
COPIED = ("exporter/pegasus_export/triton/model.py",)
"""No part of its package: it is written beside a bundle, and runs there with the runtime alone."""
FORBIDDEN_LIBRARIES = {  # wherever in the package the import stands
    "pegasus_export": {"transformers"},
    "pegasus_engines": {"transformers", "torch"},
    "pegasus_plugins": {"transformers"},
    "pegasus_runtime": {"transformers", "torch", "onnx", "onnxscript", "safetensors"},
    "pegasus_serve": {"transformers", "torch", "onnx", "onnxscript", "safetensors"},
    "pegasus_ray": {"transformers", "torch", "onnx", "onnxscript", "safetensors"},
}
HEAVY_LIBRARIES = ("torch", "transformers", "onnx", "onnxruntime", "tensorrt")
NAMES_THAT_SAY_NOTHING = {"util", "utils", "helper", "helpers", "common", "misc"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_IMPORT_S = 0.25
NUMPY_IMPORT_S = 0.1  # in an hour in which the machine is nobody else's

# Loads the names that a package loads on first use, too.
IMPORT_RUNTIME = "from pegasus_runtime import *"


def source_files(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Every imported name, dotted: ``from a.b import c`` gives ``a.b.c``.

    So does a text that is the name of a module of ours, for `importlib.import_module`.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (f"{node.module}." if node.module else "")
            yield from (f"{prefix}{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(
            r"pegasus_\w+(\.\w+)+", str(node.value)
        ):
            yield str(node.value)


def is_below(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def find_bad_imports(package: str, source: str) -> list[str]:
    """The imports that the package may not make: relative, of ours, or of a forbidden library."""
    bad = []
    for name in imported_names(ast.parse(source)):
        root = name.split(".")[0]
        is_foreign_package = root in PACKAGES and root != package
        is_allowed = any(is_below(name, module) for module in ALLOWED_OF_OURS[package])
        if (
            name.startswith(".")
            or root in FORBIDDEN_LIBRARIES[package]
            or (is_foreign_package and not is_allowed)
        ):
            bad.append(name)
    return bad


def find_own_onnxruntime(source: str) -> list[str]:
    """Where ONNX Runtime is imported, but for types alone, or a session made: with telemetry."""
    tree = ast.parse(source)
    for_types = [
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    ]
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if id(node) not in for_types
        and (
            (
                isinstance(node, ast.Import | ast.ImportFrom)
                and any(is_below(name, "onnxruntime") for name in imported_names(node))
            )
            or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("InferenceSession"))
        )
    ]


def find_long_functions(source: str, limit: int = MAX_FUNCTION_LINES) -> list[str]:
    """The functions of more than ``limit`` lines, as ``name (lines)``."""
    long = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > limit:
                long.append(f"{node.name} ({lines})")
    return long


def find_missing_exports(source: str) -> list[str]:
    """The names in ``__all__`` that no statement at the top of the module defines."""
    tree = ast.parse(source)
    exported: list[str] = []
    defined: set[str] = set()
    for node in _top_level_statements(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            defined |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {name.id for t in targets for name in ast.walk(t) if isinstance(name, ast.Name)}
            defined |= names
            if "__all__" in names and node.value is not None:
                exported = ast.literal_eval(node.value)
    return [name for name in exported if name not in defined]


def _top_level_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """The module's statements, and those in its ``if`` and ``try`` blocks."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop(0)
        yield node
        if isinstance(node, ast.If | ast.Try):
            pending += [child for child in ast.walk(node) if isinstance(child, ast.stmt)][1:]


def module_name(package: str, path: Path) -> str:
    parts = path.relative_to(PACKAGES[package].parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_the_design_allows(package: str) -> None:
    bad = {
        str(path.relative_to(REPOSITORY)): names
        for path in source_files(package)
        if (names := find_bad_imports(package, path.read_text()))
    }
    assert not {path: names for path, names in bad.items() if path not in COPIED}


@pytest.mark.parametrize("path", COPIED)
def test_a_file_that_is_copied_needs_the_runtime_alone_and_nobody_imports_it(path: str) -> None:
    source = (REPOSITORY / path).read_text()
    assert find_bad_imports("pegasus_runtime", source) == []
    module = ".".join(Path(path).with_suffix("").parts[1:])
    for package in PACKAGES:
        for each in source_files(package):
            imported = set(imported_names(ast.parse(each.read_text())))
            assert not any(is_below(name, module) for name in imported), each


@pytest.mark.parametrize(
    ("package", "source", "bad"),
    [
        ("pegasus_runtime", "import torch.nn", ["torch.nn"]),
        ("pegasus_runtime", "def f():\n    from onnx import helper", ["onnx.helper"]),
        ("pegasus_runtime", "import onnxruntime\nimport numpy", []),
        (
            "pegasus_runtime",
            "from pegasus_export.stages.trace import trace",
            ["pegasus_export.stages.trace.trace"],
        ),
        ("pegasus_runtime", "from . import bundle", [".bundle"]),
        ("pegasus_runtime", "load('pegasus_plugins.ways')", []),
        ("pegasus_runtime", "load('pegasus_plugins.driver')", ["pegasus_plugins.driver"]),
        ("pegasus_plugins", "import pegasus_runtime", ["pegasus_runtime"]),
        ("pegasus_engines", "from pegasus_runtime import bundle", []),
        (
            "pegasus_engines",
            "from pegasus_runtime import tokenization",
            ["pegasus_runtime.tokenization"],
        ),
        ("pegasus_export", "from pegasus_runtime.tokenization.tokenizer import Tokenizer", []),
        (
            "pegasus_export",
            "from pegasus_runtime import Summarizer",
            ["pegasus_runtime.Summarizer"],
        ),
        (
            "pegasus_export",
            "import pegasus_runtime.tasks.summarizer",
            ["pegasus_runtime.tasks.summarizer"],
        ),
    ],
)
def test_the_import_rule_knows_good_from_bad(package: str, source: str, bad: list[str]) -> None:
    assert find_bad_imports(package, source) == bad


@pytest.mark.parametrize("package", PACKAGES)
def test_only_one_module_imports_onnxruntime_and_opens_its_sessions(package: str) -> None:
    found = {
        str(path.relative_to(REPOSITORY)): statements
        for path in source_files(package)
        if (statements := find_own_onnxruntime(path.read_text()))
    }
    found.pop("runtime/pegasus_runtime/native/ort.py", None)
    assert not found, "with telemetry: import pegasus_runtime.native.ort instead"


def test_the_rule_of_onnxruntime_passes_over_types() -> None:
    types = "if TYPE_CHECKING:\n    import onnxruntime\n"
    assert find_own_onnxruntime(f"{types}import onnx, a.onnxruntime") == []
    assert find_own_onnxruntime("import onnxruntime as ort") == ["import onnxruntime as ort"]
    imported = "def f():\n    from onnxruntime.capi import x"
    assert find_own_onnxruntime(types + imported) == ["from onnxruntime.capi import x"]
    assert find_own_onnxruntime("ort.InferenceSession('a')") == ["ort.InferenceSession('a')"]


@pytest.mark.parametrize("package", PACKAGES)
def test_files_and_functions_are_short_enough_to_read(package: str) -> None:
    long = []
    for path in source_files(package):
        source = path.read_text()
        n_lines = len(source.splitlines())
        found = [f"{n_lines} lines"] if n_lines > MAX_FILE_LINES else []
        found += find_long_functions(source)
        long += [f"{path.relative_to(REPOSITORY)}: {what}" for what in found]
    assert not long


def test_the_length_rule_counts_the_lines_of_nested_functions() -> None:
    source = "class A:\n    def f(self):\n        a = 1\n        return a\n\ndef g(): ...\n"
    assert find_long_functions(source, limit=3) == []
    assert find_long_functions(source, limit=2) == ["f (3)"]


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    vague = [
        str(path.relative_to(REPOSITORY))
        for root in PACKAGES.values()
        for path in root.rglob("*")
        if path.stem.strip("_") in NAMES_THAT_SAY_NOTHING
    ]
    assert not vague


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_in_all_exists(package: str) -> None:
    missing = []
    for path in source_files(package):
        name = module_name(package, path)
        for export in find_missing_exports(path.read_text()):
            # Names that a module loads on first use show only when it is imported.
            if not hasattr(importlib.import_module(name), export):
                missing.append(f"{name}.{export}")
    assert not missing


def test_the_export_rule_sees_names_that_nothing_defines() -> None:
    source = "from a import b as c\nD: int = 1\n__all__ = ['D', 'E', 'c', 'f']\ndef f(): ...\n"
    assert find_missing_exports(source) == ["E"]


def test_importing_the_runtime_loads_no_heavy_library() -> None:
    script = f"import sys; {IMPORT_RUNTIME}; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "pegasus_runtime" in loaded
    assert not set(loaded) & set(HEAVY_LIBRARIES)


def test_importing_the_runtime_takes_a_quarter_of_a_second_at_most() -> None:
    start_up_s = _processor_s("pass")
    import_s = _processor_s(IMPORT_RUNTIME) - start_up_s
    numpy_s = _processor_s("import numpy") - start_up_s
    # A shared machine has hours in which everything takes twice as long, NumPy's import too.
    assert import_s <= MAX_IMPORT_S * max(1, numpy_s / NUMPY_IMPORT_S)


def _processor_s(statement: str, runs: int = 5) -> float:
    """Processor time of a fresh interpreter: the quickest run, which others disturbed least.

    The first run does not count: it may have to compile modules.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    seconds = []
    for _ in range(1 + runs):
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", statement], environment)
        _, status, usage = os.wait4(pid, 0)
        assert status == 0
        seconds.append(usage.ru_utime + usage.ru_stime)
    return min(seconds[1:])


@pytest.mark.parametrize("package", PACKAGES)
def test_only_one_module_starts_python(package: str) -> None:
    """The others would import what lies in the current folder."""
    starts = [
        str(path.relative_to(REPOSITORY))
        for path in source_files(package)
        if "sys.executable" in path.read_text()
    ]
    only = "runtime/pegasus_runtime/native/child_python.py"
    assert starts == [only] * (package == "pegasus_runtime")
