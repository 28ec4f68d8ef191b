"""What `pipeline` opens, and which of transformers' arguments it takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pegasus_runtime import BundleError, OptionsError, Summarizer, pipeline
from pegasus_runtime.pipelines.constructor_arguments import without_constructor_arguments


def test_arguments_that_ask_for_what_is_done_anyway_are_taken() -> None:
    given: dict[str, Any] = {
        "device": -1,
        "device_map": "auto",
        "framework": "pt",
        "torch_dtype": "auto",
        "dtype": None,
        "tokenizer": "xsum",
        "use_fast": True,
        "trust_remote_code": False,
        "model_kwargs": {},
        "num_workers": 8,
        "max_length": 30,
    }
    assert without_constructor_arguments("xsum", given, taken_by_load=()) == {"max_length": 30}
    named = {"device": "cpu", "tokenizer": None, "revision": "main"}
    assert without_constructor_arguments("xsum", named, taken_by_load={"revision"}) == {
        "revision": "main"
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("device", 0, "device is 0: leave it out; provider= says where a bundle runs"),
        ("device", "cuda:0", "device is 'cuda:0': leave it out; provider="),
        ("torch_dtype", "float16", "torch_dtype is 'float16': a bundle has its precision"),
        ("model_kwargs", {"load_in_4bit": True}, "model_kwargs is .*: leave it out, and pass what"),
        ("framework", "tf", "framework is 'tf': leave it out: no framework is used"),
        ("config", {"num_beams": 2}, "config is .*: a bundle holds its own"),
        (
            "tokenizer",
            "other",
            "tokenizer is str 'other': a bundle holds its own: leave it out, or",
        ),
    ],
)
def test_arguments_that_ask_for_something_else_say_what_to_do(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(OptionsError, match=f"^{message}"):
        without_constructor_arguments("xsum", {name: value}, taken_by_load=())


def test_a_long_argument_is_told_in_short() -> None:
    with pytest.raises(OptionsError, match=r"^config is \(1, .*\.\.\.: a bundle"):
        without_constructor_arguments("xsum", {"config": (1,) * 99}, taken_by_load=())


def test_a_task_that_is_none_names_the_nearest() -> None:
    untyped: Any = pipeline
    with pytest.raises(
        OptionsError, match=r"^task is 'summarisation', .* here: did you mean summarization\?$"
    ):
        untyped("summarisation", "xsum")
    with pytest.raises(
        OptionsError, match=r"^task is None, .* here: pass one of summarization, text"
    ):
        untyped(None, "xsum")


def test_what_is_loaded_is_used_as_it_is(tiny_bundle: Callable[..., Path]) -> None:
    untyped: Any = pipeline
    with Summarizer.load(tiny_bundle(), threads=1) as summarizer:
        assert pipeline("summarization", summarizer).model is summarizer
        with pytest.raises(
            OptionsError, match=r"^threads is for loading, and the Summarizer is loa"
        ):
            pipeline("summarization", summarizer, threads=2)
        with pytest.raises(
            OptionsError, match=r"^model is Summarizer, expected a bundle's folder or"
        ):
            untyped("text-classification", summarizer)
    with pytest.raises(
        OptionsError, match=r"^model is NoneType, expected .*: export the checkpoint"
    ):
        untyped("summarization")


def test_a_bundle_of_another_task_is_refused(tiny_bundle: Callable[..., Path]) -> None:
    with pytest.raises(BundleError, match="a bundle for task 'summarization'"):
        pipeline("question-answering", tiny_bundle())
    with pytest.raises(
        OptionsError, match=r"^max_lenght is no option of this pipeline: did you mean"
    ):
        pipeline("summarization", tiny_bundle(), threads=1, max_lenght=5)
