"""Summarization and text2text: shapes, laziness, defaults, and what is refused."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import GenerationOptions, InputError, OptionsError, Summarizer, pipeline
from pegasus_runtime.bundle import Manifest
from pegasus_runtime.pipelines.generation_keywords import PipelineDefaults, generation_options
from pegasus_runtime.pipelines.text_to_text import TextToTextPipeline

TEXTS = list(tiny_sentences()[:4])
FOUR_BEAMS = PipelineDefaults(settings={"num_beams": 4})


@pytest.fixture(scope="module")
def summarizer(tiny_bundle: Callable[..., Path]) -> Summarizer:
    return Summarizer.load(tiny_bundle(), threads=1)


@pytest.fixture(scope="module")
def pipe(summarizer: Summarizer) -> TextToTextPipeline:
    return pipeline("summarization", summarizer, truncation=True)


def options_of(manifest: Manifest, given: dict[str, Any], **generation: Any) -> GenerationOptions:
    manifest = dataclasses.replace(manifest, generation=generation)
    return generation_options(manifest, "summarization", FOUR_BEAMS, given)


def test_a_text_a_list_and_several_sequences_have_their_shapes(pipe: TextToTextPipeline) -> None:
    one = pipe(TEXTS[0])
    assert list(one[0]) == ["summary_text"]
    assert pipe(TEXTS[:1]) == one
    assert pipe([]) == []
    assert pipe(TEXTS)[0] == one[0]
    assert [len(each) for each in pipe(TEXTS[:2], num_return_sequences=3)] == [3, 3]
    assert len(pipe(TEXTS[0], num_return_sequences=3)) == 3
    written = pipeline("text2text-generation", pipe.model)
    assert written(TEXTS[0]) == [{"generated_text": one[0]["summary_text"]}]


def test_a_generator_is_read_as_its_results_are_asked_for(pipe: TextToTextPipeline) -> None:
    read: list[str] = []

    def texts() -> Iterator[str]:
        for text in TEXTS:
            read.append(text)
            yield text

    found = pipe(texts())
    assert read == []
    assert next(found) == pipe(TEXTS[0])
    assert read == TEXTS[:1]
    found = pipe(texts(), batch_size=2)
    next(found)
    assert read[1:] == TEXTS[:2]


def test_tensors_are_arrays_with_the_start_token(pipe: TextToTextPipeline) -> None:
    found = pipe(TEXTS[0], return_tensors=True, num_return_sequences=2)
    rows = [each["summary_token_ids"] for each in found]
    assert [row.dtype for row in rows] == [np.int64] * 2
    assert rows[0].shape == rows[1].shape
    assert rows[0][0] == 0
    assert pipe.model.decode(rows[0]) == pipe(TEXTS[0])[0]["summary_text"]


def test_spaces_before_punctuation_go_if_asked(summarizer: Summarizer) -> None:
    ids = [*summarizer.encode("a boat .").token_ids]
    assert summarizer.decode(ids).count(" .") == 1
    assert summarizer.decode(ids, clean_up_spaces=True).count(" .") == 0


def test_defaults_are_those_of_transformers_4_57(summarizer: Summarizer) -> None:
    manifest = summarizer.bundle.manifest
    assert options_of(manifest, {}, num_beams=8, max_length=64) == GenerationOptions(num_beams=4)
    # No max_length, or that which GenerationConfig has anyway: 256, or as many as there is room.
    most = manifest.limits.max_target_tokens - 1
    for generation in ({}, {"max_length": 20}):
        found = options_of(manifest, {}, **generation)
        assert found == GenerationOptions(num_beams=4, max_new_tokens=min(256, most))
    prompted = options_of(manifest, {"decoder_input_ids": [5, 6]})
    assert prompted.max_new_tokens == most - 2
    assert options_of(manifest, {"max_length": 9}) == GenerationOptions(num_beams=4, max_length=9)
    few = dataclasses.replace(
        manifest, limits=dataclasses.replace(manifest.limits, max_beams=2), generation={}
    )
    assert generation_options(few, "summarization", FOUR_BEAMS, {}).num_beams == 2


def test_settings_of_the_task_lie_between_the_checkpoints_and_the_callers(
    summarizer: Summarizer,
) -> None:
    manifest = summarizer.bundle.manifest
    tasks = {"summarization": {"num_beams": 2, "min_length": 7, "prefix": "x: ", "d_model": 3}}
    set_by_all = {"max_length": 64, "task_specific_params": tasks}
    assert options_of(manifest, {"min_length": 8}, **set_by_all) == GenerationOptions(
        num_beams=2, min_length=8
    )
    tasks["summarization"]["num_beam_groups"] = 2
    with pytest.raises(
        OptionsError, match=r"^task_specific_params of summarization set num_beam_gr"
    ):
        options_of(manifest, {}, **set_by_all)


def test_a_prefix_of_the_checkpoint_stands_before_every_text(summarizer: Summarizer) -> None:
    bundle = summarizer.bundle
    generation = {
        **bundle.manifest.generation,
        "task_specific_params": {"summarization": {"prefix": "Our mayor "}},
    }
    manifest = dataclasses.replace(bundle.manifest, generation=generation)
    other = Summarizer(
        dataclasses.replace(bundle, manifest=manifest),
        summarizer._open_engine(),
        summarizer._tokenizer,
    )
    assert pipeline("summarization", other)("sold a boat.") == pipeline(
        "summarization", summarizer
    )("Our mayor sold a boat.")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_beem": 2}, r"^num_beem is no option of this pipeline: did you mean num_beams\?"),
        ({"qqq": 2}, "^qqq is no option of this pipeline: it takes batch_size, .* and options of"),
        ({"truncation": "only_second"}, "^truncation is 'only_second', expected True, False or"),
        ({"guidance_scale": 2.0}, "^guidance_scale is 2.0, which is not offered: leave it out$"),
        ({"num_beam_groups": 2}, "^num_beam_groups is 2, which is not offered: leave it out$"),
        ({"output_scores": True}, "^output_scores is True, which is not offered: leave it out$"),
        ({"pad_token_id": 5}, "^pad_token_id is 5, the bundle has 0: set it in the checkpoint's"),
        ({"generation_config": {}}, "^generation_config is dict, expected GenerationOptions: or"),
        ({"max_length": "a"}, "^max_length is 'a', expected an integer"),
        ({"batch_size": 0}, "^batch_size is 0, expected"),
        ({"num_beams": 0}, "^num_beams is 0, expected an integer from 1 up"),
    ],
)
def test_what_cannot_be_met_is_refused(
    pipe: TextToTextPipeline, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionsError, match=message):
        pipe(TEXTS[0], **given)


def test_what_changes_nothing_is_taken(pipe: TextToTextPipeline) -> None:
    given: dict[str, Any] = {
        "use_cache": True,
        "cache_implementation": "static",
        "disable_compile": True,
        "token_healing": False,
        "num_beam_groups": 1,
        "diversity_penalty": 0.0,
        "eos_token_id": [1],
        "pad_token_id": 0,
        "return_text": True,
        "num_workers": 2,
        "max_length": None,
    }
    assert pipe(TEXTS[0], **given) == pipe(TEXTS[0])


def test_options_in_one_object_leave_the_pipelines_defaults_out(pipe: TextToTextPipeline) -> None:
    options = GenerationOptions(num_beams=1, max_length=9)
    (found,) = pipe(TEXTS[0], generation_config=options)
    assert found["summary_text"] == pipe.model.summarize(TEXTS[0], options).text


def test_sampling_options_without_sampling_are_told_and_left_out(
    pipe: TextToTextPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    assert pipe(TEXTS[0], temperature=0.0, top_p=0.5) == pipe(TEXTS[0])
    assert "temperature, top_p has no effect without do_sample=True" in caplog.messages


def test_the_first_token_of_a_stop_sequence_ends_a_text(
    pipe: TextToTextPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    words = pipe(TEXTS[0], num_beams=1)[0]["summary_text"].split()
    stopped = pipe(TEXTS[0], num_beams=1, stop_sequence=f"{words[0]} {words[1]}")
    assert len(stopped[0]["summary_text"]) <= len(words[0])
    assert "of which the first ends a text" in caplog.text


def test_odd_lengths_are_told(pipe: TextToTextPipeline, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        pipe(TEXTS[0], min_length=60, max_length=50)
    assert caplog.messages[0] == "min_length is 60, more than max_length 50: lower it"
    assert caplog.messages[1].startswith("max_length is 50, the text has only")
    caplog.clear()
    pipeline("text2text-generation", pipe.model)(TEXTS[0], max_length=50)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": "a"}, "^inputs is dict, expected a text, or several of them$"),
        (5, "^inputs is int, expected a text, or several of them$"),
        ([TEXTS[0], 5], "^text 1: text is int, expected str"),
        ([TEXTS[0], " "], "^text 1: text is empty or has only whitespace"),
    ],
)
def test_what_is_no_text_is_refused(pipe: TextToTextPipeline, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pipe(given)


def test_a_text_over_the_limit_is_refused_unless_it_may_be_cut(pipe: TextToTextPipeline) -> None:
    text = " ".join(tiny_sentences()[:40])
    with pytest.raises(InputError, match=r"^source has \d+ tokens, the bundle takes 96"):
        pipe(text, truncation=False)
    assert pipe(text) == pipe(text, truncation="longest_first")
