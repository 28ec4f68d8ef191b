"""Which known names are offered for one that is not known."""

from __future__ import annotations

import pytest

from pegasus_runtime.spelling import did_you_mean, find_nearest

OPTIONS = (
    "--num-beams",
    "--num-return-sequences",
    "--max-length",
    "--max-new-tokens",
    "--min-length",
    "--length-penalty",
    "--truncate",
    "--top-k",
)
MEANINGS = {
    "onnx": "standard ONNX operators",
    "ort": "ONNX Runtime, for programs",
    "trt": "TensorRT: servers",
    "trt-rtx": "TensorRT for RTX: desktops",
}


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("--num_beams", ["--num-beams"]),
        ("--NumBeams", ["--num-beams"]),
        ("--num-beam", ["--num-beams"]),
        ("--beams", ["--num-beams"]),
        ("--trunkate", ["--truncate"]),
        ("--num", ["--num-beams", "--num-return-sequences"]),
        ("--length", ["--max-length", "--min-length", "--length-penalty"]),
        ("--topk", ["--top-k"]),
        ("--shiny", []),
        ("--t", []),
        ("--", []),
        ("", []),
    ],
)
def test_an_option_is_found_by_its_letters_a_part_of_it_or_a_likeness(
    given: str, nearest: list[str]
) -> None:
    assert find_nearest(given, OPTIONS) == nearest


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("ORT", ["ort"]),
        ("trt_rtx", ["trt-rtx"]),
        ("tensorrt", ["trt", "trt-rtx"]),
        ("tensorrt-rtx", ["trt-rtx"]),
        ("onnxruntime", ["ort"]),
        ("rtx", ["trt-rtx"]),
        ("trtx", ["trt-rtx"]),
        ("coreml", []),
    ],
)
def test_a_name_with_a_meaning_is_found_by_a_word_of_it_too(given: str, nearest: list[str]) -> None:
    assert find_nearest(given, MEANINGS, meanings=MEANINGS) == nearest


def test_three_letters_are_like_too_many_others() -> None:
    assert find_nearest("gpu", ["auto", "cpu", "cuda"]) == []


def test_names_that_differ_in_dashes_only_are_both_found() -> None:
    assert find_nearest("topk", ["--top-k", "--topk", "--top-p"]) == ["--top-k", "--topk"]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("--shiny", ""),
        ("--beams", ": did you mean --num-beams?"),
        ("--num", ": did you mean --num-beams or --num-return-sequences?"),
        ("--length", ": did you mean --max-length, --min-length or --length-penalty?"),
    ],
)
def test_a_hint_asks_for_one_of_them(given: str, hint: str) -> None:
    assert did_you_mean(given, OPTIONS) == hint
