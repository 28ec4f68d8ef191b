"""What `import pegasus_runtime` offers, and what it costs."""

import dataclasses
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import pegasus_runtime
from pegasus_runtime import errors

HEAVY = {"onnxruntime", "torch", "transformers", "onnx", "tensorrt"}
ALLOWED_SITE_PACKAGES = {"numpy", "sentencepiece", "pegasus_runtime"}
MODULES = [
    f"pegasus_runtime.{room}.{module.name}"
    for room in ("decoding", "search", "generation")
    for module in pkgutil.iter_modules([str(Path(pegasus_runtime.__file__).parent / room)])
]
RESULTS_AND_OPTIONS = ("Failure", "GenerationOptions", "Hypothesis", "Summary")


def test_every_public_name_exists_and_is_documented() -> None:
    assert pegasus_runtime.__all__ == sorted(pegasus_runtime.__all__)
    for name in pegasus_runtime.__all__:
        assert getattr(pegasus_runtime, name).__doc__, name


def test_all_errors_are_public_and_have_one_base() -> None:
    assert set(errors.__all__) <= set(pegasus_runtime.__all__)
    kinds = [getattr(errors, name) for name in errors.__all__]
    subclasses = [kind for kind in kinds if kind is not errors.PegasusError]
    assert all(kind.__bases__ == (errors.PegasusError,) for kind in subclasses)
    assert len(subclasses) <= 6
    assert all(name in (errors.__doc__ or "") for name in errors.__all__)


@pytest.mark.parametrize("name", RESULTS_AND_OPTIONS)
def test_results_and_options_cannot_be_changed(name: str) -> None:
    kind = getattr(pegasus_runtime, name)
    parameters = kind.__dataclass_params__
    assert dataclasses.is_dataclass(kind)
    assert parameters.frozen
    assert all(field.kw_only for field in dataclasses.fields(kind))


def test_importing_loads_numpy_and_sentencepiece_and_nothing_else() -> None:
    script = (
        "import sys; before = set(sys.modules); from pegasus_runtime import *; import json;"
        "roots = {name.split('.')[0] for name in set(sys.modules) - before};"
        "files = {root: getattr(sys.modules.get(root), '__file__', '') or '' for root in roots};"
        "print(json.dumps(files))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    files = json.loads(result.stdout)
    installed = {root for root, file in files.items() if "site-packages" in file}
    assert not HEAVY & files.keys()
    assert installed <= ALLOWED_SITE_PACKAGES
    assert {"numpy", "sentencepiece", "pegasus_runtime"} <= files.keys()


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_exported(module: str) -> None:
    loaded = importlib.import_module(module)
    defined = {
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == loaded.__name__
    }
    assert defined <= set(loaded.__all__)
    assert all(hasattr(loaded, name) for name in loaded.__all__)
    assert loaded.__all__ == sorted(loaded.__all__)
