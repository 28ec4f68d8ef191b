"""The Python backend's file, driven as Triton drives it, by a stand-in of Triton's module."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.tiny_checkpoint import tiny_sentences
from exporter.triton.backend_arguments import arguments, read_config
from exporter.triton.fake_backend_utils import (
    InferenceRequest,
    InferenceResponse,
    ModelConfig,
    Tensor,
    TritonError,
    after,
)
from pegasus_runtime import BundleError, GenerationOptions, OptionsError, Summarizer

ONE, TWO, THREE = tiny_sentences()[:3]
TOO_LONG = " ".join(tiny_sentences()[:12])
CHINESE = "\u4e2d\u6587" * 50


@pytest.fixture
def model(backend: Any, place: Path) -> Iterator[Any]:
    model = backend.TritonPythonModel()
    model.initialize(arguments(place, threads="1"))
    yield model
    model.finalize()


def ask(
    *texts: str | bytes, options: list[Any] | None = None, batched: bool = True, **keywords: Any
) -> InferenceRequest:
    def tensor(name: str, values: list[bytes]) -> Tensor:
        shape = (len(values), 1) if batched else (len(values),)
        return Tensor(name, np.array(values, dtype=np.object_).reshape(shape))

    def encoded(value: Any) -> bytes:
        return value if isinstance(value, bytes) else json.dumps(value).encode()

    tensors = [
        tensor("TEXT", [each if isinstance(each, bytes) else each.encode() for each in texts])
    ]
    if options is not None:
        tensors.append(tensor("OPTIONS", [encoded(each) for each in options]))
    return InferenceRequest(tensors, **keywords)


def outputs(response: InferenceResponse) -> dict[str, Any]:
    assert response.error() is None, response.error().message()
    return {each.name(): each.as_numpy() for each in response.output_tensors()}


def error(response: InferenceResponse) -> tuple[int, str]:
    found = response.error()
    assert found is not None
    return found.code(), found.message()


def test_a_text_comes_out_as_the_summarizer_has_it(model: Any, summarizer: Summarizer) -> None:
    (response,) = model.execute([ask(ONE)])
    found, expected = outputs(response), summarizer.summarize(ONE)
    assert {name: each.shape for name, each in found.items()} == {
        **dict.fromkeys(("SUMMARY", "SCORE", "TRUNCATED", "UNKNOWN_SHARE"), (1, 1)),
        **dict.fromkeys(("CONTROL_CHARACTERS", "LOOKS_LIKE_HTML"), (1, 1)),
        "TOKEN_IDS": (1, len(expected.token_ids)),
    }
    assert found["SUMMARY"][0, 0].decode() == expected.text
    assert found["SCORE"][0, 0] == pytest.approx(expected.score)
    assert tuple(found["TOKEN_IDS"][0]) == expected.token_ids
    assert not found["TRUNCATED"][0, 0]


def test_its_outputs_are_those_of_the_configuration(model: Any, place: Path) -> None:
    (response,) = model.execute([ask(ONE)])
    types = {"TYPE_STRING": "O", "TYPE_FP64": "f", "TYPE_INT32": "i", "TYPE_BOOL": "b"}
    sizes = {"TYPE_FP64": 8, "TYPE_INT32": 4}
    config = {each["name"]: each["data_type"] for each in read_config(place)["output"]}
    found = outputs(response)
    assert found.keys() == config.keys()
    for name, array in found.items():
        assert array.dtype.kind == types[config[name]]
        assert array.dtype.itemsize == sizes.get(config[name], array.dtype.itemsize)


def test_requests_that_come_together_are_each_as_alone(model: Any, summarizer: Summarizer) -> None:
    beams: list[Any] = [{"num_beams": 3, "max_length": 9}]
    requests = [ask(ONE), ask(TWO, options=beams), ask(THREE, options=[b""]), ask(ONE, TWO, THREE)]
    first, second, third, all_three = map(outputs, model.execute(requests))
    assert first["SUMMARY"][0, 0].decode() == summarizer.summarize(ONE).text
    with_beams = summarizer.summarize(TWO, GenerationOptions(num_beams=3, max_length=9))
    assert second["SUMMARY"][0, 0].decode() == with_beams.text
    assert third["SUMMARY"][0, 0].decode() == summarizer.summarize(THREE).text
    expected = summarizer.summarize([ONE, TWO, THREE])
    assert [each.decode() for each in all_three["SUMMARY"][:, 0]] == [x.text for x in expected]
    longest = max(len(each.token_ids) for each in expected)
    assert all_three["TOKEN_IDS"].shape == (3, longest)
    for row, each in zip(all_three["TOKEN_IDS"], expected, strict=True):
        assert list(row) == [*each.token_ids, *[-1] * (longest - len(each.token_ids))]


def test_equal_options_run_in_one_call(
    backend: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    class Counted:
        def close(self) -> None:
            summarizer.close()

        def summarize_each(self, texts: list[str], *given: Any, **keywords: Any) -> Any:
            calls.append(texts)
            return summarizer.summarize_each(texts, *given, **keywords)

    summarizer = model._summarizer
    monkeypatch.setattr(model, "_summarizer", Counted())
    same = [b'{"num_beams": 2, "max_length": 8}', b' {"max_length": 8, "num_beams": 2}']
    model.execute([ask(ONE, options=same[:1]), ask(TWO), ask(THREE, options=same[1:]), ask(ONE)])
    assert calls == [[ONE, THREE], [TWO, ONE]]


def test_a_model_without_batching_has_outputs_without_a_batch(model: Any) -> None:
    (response,) = model.execute([ask(ONE, batched=False)])
    found = outputs(response)
    assert found["SUMMARY"].shape == found["SCORE"].shape == (1,)
    assert found["TOKEN_IDS"].ndim == 1


def test_what_was_read_of_a_text_is_told(model: Any) -> None:
    (response,) = model.execute([ask(f"<p>{ONE}</p>\0", CHINESE)])
    found = outputs(response)
    assert found["LOOKS_LIKE_HTML"][:, 0].tolist() == [True, False]
    assert found["CONTROL_CHARACTERS"][:, 0].tolist() == [1, 0]
    assert found["UNKNOWN_SHARE"][1, 0] == 1.0


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (lambda: ask(""), "text is empty"),
        (lambda: ask(TOO_LONG), "source has"),
        (lambda: ask(ONE, " "), "text 1: text is empty"),
        (lambda: ask(b"\xff"), r"TEXT is not UTF-8 \(byte 0\): encode it as that"),
        (lambda: ask(ONE, options=[b"\xff"]), "OPTIONS is not UTF-8"),
        (lambda: ask(ONE, options=[b"{"]), "OPTIONS is no JSON"),
        (lambda: ask(ONE, options=[b"[" * 10**5]), "OPTIONS is no JSON"),
        (lambda: ask(), "TEXT has no rows, expected 1 or more"),
        (lambda: ask(ONE, options=[[4]]), r"OPTIONS is \[4\]: pass an object"),
        (lambda: ask(ONE, options=[{"beams": 4}]), "OPTIONS has 'beams', expected any of num_b"),
        (lambda: ask(ONE, options=[{"token_scores": True}]), "OPTIONS has 'token_scores'"),
        (lambda: ask(ONE, options=[{"num_return_sequences": 2}]), "has 'num_return_sequences'"),
        (lambda: ask(ONE, options=[{"num_beams": 0}]), "num_beams is 0"),
        (lambda: ask(ONE, options=[{"num_beams": "4"}]), "num_beams is '4'"),
        (lambda: ask(ONE, options=[{"top_k": 5}]), "top_k"),  # without sampling
        (lambda: ask(ONE, TWO, options=[{}, {"num_beams": 0}]), "text 1: num_beams is 0"),
        (lambda: ask(ONE, TWO, options=[{}]), "OPTIONS has 1 rows, TEXT has 2"),
    ],
)
def test_a_request_that_is_wrong_fails_alone(
    model: Any, summarizer: Summarizer, request_: Any, message: str
) -> None:
    before, wrong, behind = model.execute([ask(ONE), request_(), ask(TWO)])
    code, said = error(wrong)
    assert code == TritonError.INVALID_ARG
    assert re.search(message, said), said
    assert outputs(before)["SUMMARY"][0, 0].decode() == summarizer.summarize(ONE).text
    assert outputs(behind)["SUMMARY"][0, 0].decode() == summarizer.summarize(TWO).text


def test_an_engine_that_fails_is_internal(model: Any) -> None:
    model.finalize()
    (response,) = model.execute([ask(ONE)])
    assert error(response)[0] == TritonError.INTERNAL


def test_a_request_that_was_cancelled_leaves(model: Any, summarizer: Summarizer) -> None:
    gone, other = model.execute([ask(ONE, is_cancelled=after(0)), ask(TWO)])
    assert error(gone) == (TritonError.CANCELLED, "the request was cancelled")
    assert outputs(other)["SUMMARY"][0, 0].decode() == summarizer.summarize(TWO).text


def test_one_that_is_cancelled_while_another_runs_is_not_answered(model: Any) -> None:
    gone, other = model.execute([ask(ONE, is_cancelled=after(1)), ask(TWO)])
    assert error(gone)[0] == TritonError.CANCELLED
    outputs(other)


def test_when_all_are_cancelled_the_run_ends(
    backend: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "_ASKS_EVERY_S", 0.0)
    asked: list[int] = []

    def is_cancelled() -> bool:
        asked.append(1)
        return len(asked) > 3

    options = [{"min_length": 40, "max_length": 48}]
    (gone,) = model.execute([ask(ONE, options=options, is_cancelled=is_cancelled)])
    assert error(gone)[0] == TritonError.CANCELLED
    assert 3 < len(asked) < 15  # of 48 steps


def test_parameters_reach_the_runtime(backend: Any, place: Path) -> None:
    model = backend.TritonPythonModel()
    model.initialize(
        arguments(place, threads="1", long="truncate", max_unknown="0.2", warm_up="true")
    )
    cut, refused = model.execute([ask(TOO_LONG), ask(CHINESE)])
    assert outputs(cut)["TRUNCATED"][0, 0]
    assert "max_unknown is 20.0%" in error(refused)[1]
    model.finalize()


def test_a_text_over_the_limit_is_summarised_in_windows_if_the_parameter_says_so(
    backend: Any, place: Path, summarizer: Summarizer
) -> None:
    model = backend.TritonPythonModel()
    model.initialize(arguments(place, threads="1", long="chunk"))
    whole, other = model.execute([ask(TOO_LONG), ask(ONE)])
    expected = summarizer.summarize(TOO_LONG, long="chunk")
    assert expected.windows
    assert outputs(whole)["SUMMARY"][0, 0].decode() == expected.text
    assert tuple(outputs(whole)["TOKEN_IDS"][0]) == expected.token_ids
    assert not outputs(whole)["TRUNCATED"][0, 0]
    assert outputs(other)["SUMMARY"][0, 0].decode() == summarizer.summarize(ONE).text
    model.finalize()


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("long", "chunks", "parameter long is 'chunks', expected error or truncate or chunk"),
        ("warm_up", "yes", "parameter warm_up is 'yes', expected false or true"),
        ("newlines", "no", "parameter newlines is 'no', expected hf or original"),
        ("threads", "many", "parameter threads is 'many', expected a number"),
        ("max_unknown", "20", "max_unknown is 20.0, expected a share"),
        ("provider", "tpu", "provider is 'tpu'"),
    ],
)
def test_a_parameter_that_is_wrong_keeps_the_model_from_loading(
    backend: Any, place: Path, parameter: str, value: str, message: str
) -> None:
    with pytest.raises(OptionsError, match=message):
        backend.TritonPythonModel().initialize(arguments(place, **{parameter: value}))


def test_another_bundle_than_the_pinned_one_is_not_loaded(backend: Any, place: Path) -> None:
    with pytest.raises(BundleError):
        backend.TritonPythonModel().initialize(arguments(place, manifest_sha256="0" * 64))


def test_a_configuration_that_says_nothing_is_completed(backend: Any, place: Path) -> None:
    complete = backend.TritonPythonModel.auto_complete_config
    written = {**read_config(place), "parameters": {}}
    for each in (*written["input"], *written["output"]):
        each["dims"] = [int(size) for size in each["dims"]]
    found = complete(ModelConfig({"name": place.name})).as_dict()
    assert found["max_batch_size"] == 16
    assert found["dynamic_batching"] == {}
    assert found["input"] == written["input"]
    assert found["output"] == written["output"]
    assert complete(ModelConfig(written)).as_dict() == written


def test_a_chosen_batch_size_stays(backend: Any) -> None:
    given = ModelConfig({"name": "x", "max_batch_size": 64})
    assert backend.TritonPythonModel.auto_complete_config(given).as_dict()["max_batch_size"] == 64
