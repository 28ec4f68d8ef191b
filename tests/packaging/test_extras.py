"""The extras that need NVIDIA's driver: each is for one major version of CUDA, all of its parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomllib

from pegasus_plugins.cuda_calls import NOT_INSTALLED

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"
_EXTRAS: dict[str, list[str]] = tomllib.loads(_PROJECT.read_text("utf-8"))["project"][
    "optional-dependencies"
]
_CUDA_13 = ("gpu", "trt", "rtx")
_TWINS = tuple(f"{name}-cu12" for name in _CUDA_13)
_ORT_OF_CUDA_13 = 27
"""onnxruntime-gpu 1.26 asks for nvidia-cuda-runtime-cu12 (its extra cuda), 1.27 for that of 13."""


def _name(requirement: str) -> str:
    return re.split(r"[><=;\[ ]", requirement)[0]


def _bound(requirement: str, operator: str) -> tuple[int, ...] | None:
    found = re.search(rf"{operator}(?!=)([\d.]+)", requirement)
    return tuple(map(int, found[1].split("."))) if found else None


def _majors(requirement: str) -> set[int]:
    """The versions of CUDA that a requirement admits; none for what does not depend on it."""
    name, least, below = _name(requirement), _bound(requirement, ">="), _bound(requirement, "<")
    if suffix := re.search(r"-cu(\d+)$", name):
        return {int(suffix[1])}
    if name == "cuda-bindings":
        return set(range(least[0] if least else 11, below[0] if below else 99))
    if name == "onnxruntime-gpu":
        first, last = (least or (0, 0))[1], (below or (1, 99))[1] - 1
        return {12 if first < _ORT_OF_CUDA_13 else 13, 12 if last < _ORT_OF_CUDA_13 else 13}
    # A metapackage is of CUDA 12 up to TensorRT 10.13 and of CUDA 13 from 10.14 on.
    return set(range(11, 99)) if re.fullmatch(r"tensorrt(-rtx)?", name) else set()


@pytest.mark.parametrize("extra", [x for x in _EXTRAS if any(map(_majors, _EXTRAS[x]))])
def test_all_of_an_extra_is_for_the_same_version_of_cuda(extra: str) -> None:
    expected = {12} if extra.endswith("-cu12") else {13}
    assert {x: _majors(x) for x in _EXTRAS[extra] if _majors(x)} == {
        x: expected for x in _EXTRAS[extra] if _majors(x)
    }


@pytest.mark.parametrize(("extra", "twin"), zip(_CUDA_13, _TWINS, strict=True))
def test_an_extra_has_a_twin_for_the_other_version_of_cuda(extra: str, twin: str) -> None:
    def names(extra: str) -> list[str]:
        return [re.sub(r"-cu\d+$", "", _name(x)) for x in _EXTRAS[extra]]

    assert names(extra) == names(twin)


@pytest.mark.parametrize("extra", [*_CUDA_13, *_TWINS])
def test_what_runs_on_a_gpu_brings_the_calls_of_cuda(extra: str) -> None:
    assert "cuda-bindings" in map(_name, _EXTRAS[extra])


def test_the_extra_that_an_error_names_brings_what_it_says_is_missing() -> None:
    library, extra = re.findall(r"^([\w-]+) is not installed|\[(\w+)\]", NOT_INSTALLED)
    assert library[0] in map(_name, _EXTRAS[extra[1]])
