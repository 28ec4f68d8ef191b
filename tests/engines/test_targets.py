"""What can be built, and what the user is told about the rest."""

import pytest

from pegasus_engines.targets import UnavailableError, check_available

ALL = "fp32 or fp16 or int8 or int4"
OFFER = f"this version offers onnx at fp32 or fp16 or int8, ort at {ALL}, trt at {ALL}, trt-rtx at"


@pytest.mark.parametrize(
    ("target", "precisions"),
    [
        ("onnx", ("fp32", "fp16", "int8")),
        ("ort", ("fp32", "fp16", "int8", "int4")),
        ("trt", ("fp32", "fp16", "int8", "int4")),
        ("trt-rtx", ("fp32", "fp16", "int8", "int4")),
    ],
)
def test_what_is_built_is_available(target: str, precisions: tuple[str, ...]) -> None:
    for precision in precisions:
        assert check_available(target, precision) == target


def test_a_precision_of_another_target_is_not_built_for_this_one() -> None:
    with pytest.raises(UnavailableError, match=f"^precision 'int4' is not built for .*: {OFFER}"):
        check_available("onnx", "int4")


@pytest.mark.parametrize(
    ("target", "precision", "what"),
    [
        ("tflite", "fp32", "target 'tflite'"),
        ("", "fp32", "target ''"),
        ("ort", "fp8", "precision 'fp8'"),
    ],
)
def test_other_names_are_not_known(target: str, precision: str, what: str) -> None:
    with pytest.raises(UnavailableError, match=f"^{what} is not known: {OFFER}"):
        check_available(target, precision)


@pytest.mark.parametrize(
    ("target", "precision", "says"),
    [
        ("ORT", "int8", "target 'ORT' is not known: did you mean ort"),
        ("onnxruntime", "fp32", "target 'onnxruntime' is not known: did you mean ort"),
        ("tensorrt", "fp16", "target 'tensorrt' is not known: did you mean trt or trt-rtx"),
        ("trtrtx", "fp16", "target 'trtrtx' is not known: did you mean trt-rtx"),
        ("jetson", "fp16", "target 'jetson' is not known: did you mean trt"),
        ("ort", "FP16", "precision 'FP16' is not known: did you mean fp16"),
        ("ort", "half", "precision 'half' is not known: did you mean fp16"),
        ("ort", "float32", "precision 'float32' is not known: did you mean fp32"),
        ("trt", "4bit", "precision '4bit' is not known: did you mean int4"),
    ],
)
def test_a_name_that_is_nearly_known_is_told_what_was_meant(
    target: str, precision: str, says: str
) -> None:
    with pytest.raises(UnavailableError, match=rf"^{says}\? {OFFER}"):
        check_available(target, precision)
