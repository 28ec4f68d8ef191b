"""What can be built, and what the user is told about the rest."""

import pytest

from pegasus_engines.targets import PRECISIONS, TARGETS, UnavailableError, check_available

OFFER = "this version offers onnx at fp32, ort at fp32 or int8 or int4$"


@pytest.mark.parametrize(
    ("target", "precision"),
    [("onnx", "fp32"), ("ort", "fp32"), ("ort", "int8"), ("ort", "int4")],
)
def test_what_is_built_is_available(target: str, precision: str) -> None:
    assert check_available(target, precision) == target


def test_a_precision_of_another_target_is_not_built_for_this_one() -> None:
    with pytest.raises(UnavailableError, match=f"^precision 'int8' is not built for .*: {OFFER}"):
        check_available("onnx", "int8")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("target", ["trt", "trt-rtx"])
def test_targets_to_come_are_not_built_yet(target: str, precision: str) -> None:
    with pytest.raises(UnavailableError, match=f"^target '{target}' is not built yet: {OFFER}"):
        check_available(target, precision)


def test_precisions_to_come_are_not_built_yet() -> None:
    with pytest.raises(UnavailableError, match=f"^precision 'fp16' is not built yet: {OFFER}"):
        check_available("ort", "fp16")


@pytest.mark.parametrize(
    ("target", "precision", "what"),
    [
        ("tflite", "fp32", "target 'tflite'"),
        ("", "fp32", "target ''"),
        ("ORT", "int8", "target 'ORT'"),
        ("ort", "fp8", "precision 'fp8'"),
    ],
)
def test_other_names_are_not_known(target: str, precision: str, what: str) -> None:
    with pytest.raises(UnavailableError, match=f"^{what} is not known: {OFFER}"):
        check_available(target, precision)


def test_the_tables_say_which_entries_are_to_come() -> None:
    for table, built in ((TARGETS, {"onnx", "ort"}), (PRECISIONS, {"fp32", "int8", "int4"})):
        assert {name for name, text in table.items() if "not built yet" not in text} == built
