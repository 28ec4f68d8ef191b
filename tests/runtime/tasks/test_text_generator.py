"""TextGenerator: texts as transformers' tokenizer and `generate` make them, and what it refuses."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    BundleError,
    Failure,
    FeatureExtractor,
    GenerationInterrupted,
    GenerationOptions,
    InputError,
    OptionsError,
    TextGenerator,
)
from runtime.search.oracle import run_oracle

CAUSAL = "PegasusForCausalLM"
SENTENCES = tiny_sentences()
PROMPTS = [SENTENCES[0][:20], "a", SENTENCES[1], SENTENCES[0][:20], SENTENCES[2][:24]]
OPTIONS = GenerationOptions(max_new_tokens=8)
TOO_LONG = " ".join(SENTENCES[:30])


@pytest.fixture(scope="module")
def generator(tiny_bundle: Callable[..., Path]) -> TextGenerator:
    return TextGenerator.load(tiny_bundle(CAUSAL), threads=1)


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Callable[[str], Path]) -> Any:
    return transformers.PegasusForCausalLM.from_pretrained(tiny_checkpoint(CAUSAL)).eval()


@pytest.mark.parametrize("add_special_tokens", [True, False])
def test_texts_are_those_of_transformers(
    generator: TextGenerator,
    model: Any,
    tiny_checkpoint: Callable[[str], Path],
    add_special_tokens: bool,
) -> None:
    """The text, too, as its pipeline cuts it: what all decodes to, without what the prompt does."""
    tokenizer: Any = transformers.PegasusTokenizer.from_pretrained(tiny_checkpoint(CAUSAL))
    options = GenerationOptions(max_new_tokens=8, num_return_sequences=2)
    found = generator.generate(PROMPTS, options, add_special_tokens=add_special_tokens)
    for prompt, got in zip(PROMPTS, found, strict=True):
        ids = tokenizer(prompt, add_special_tokens=add_special_tokens).input_ids
        assert (got.prompt, list(got.prompt_ids)) == (prompt, ids)
        (expected,) = run_oracle(model, [ids], options)
        for each, (tokens, score) in zip((got, *got.alternatives), expected, strict=True):
            assert each.token_ids == tokens
            assert each.score == pytest.approx(score, abs=1e-4)
            decoded = [
                tokenizer.decode(part, skip_special_tokens=True) for part in (ids, [*ids, *tokens])
            ]
            assert each.text == decoded[1][len(decoded[0]) :]


def test_prompts_of_unequal_lengths_are_each_continued_as_alone(generator: TextGenerator) -> None:
    together = generator.generate(iter(PROMPTS), OPTIONS)
    assert together == [generator.generate(prompt, OPTIONS) for prompt in PROMPTS]
    assert list(generator.generate_each(iter(PROMPTS), OPTIONS, window=2)) == together
    ids = [each.prompt_ids for each in together]
    for given in (ids, iter(ids)):
        assert [best.token_ids for best, *_ in generator.generate_ids(given, OPTIONS)] == [  # type: ignore[arg-type]
            each.token_ids for each in together
        ]
    assert generator.generate([]) == []


def test_a_prompt_of_many_runs_is_read_as_one_of_few(generator: TextGenerator, model: Any) -> None:
    """Of more tokens than there is room for at first in the cache, up to the last position."""
    ids = [120 + number % 60 for number in range(95)]
    (found,), (expected,) = (
        generator.generate_ids([ids], GenerationOptions(max_new_tokens=1, num_beams=3)),
        run_oracle(model, [ids], GenerationOptions(max_new_tokens=1, num_beams=3)),
    )
    assert [each.token_ids for each in found] == [tokens for tokens, _ in expected]


def test_what_is_of_no_use_is_refused_and_others_are_continued(generator: TextGenerator) -> None:
    number: Any = 5
    given = ["a", "", TOO_LONG, number]
    first, *failed = generator.generate(given, OPTIONS, errors="return")
    assert first == generator.generate("a", OPTIONS)
    messages = []
    for failure in failed:
        assert isinstance(failure, Failure)
        messages.append(f"{failure.document}: {failure.error}")
    assert messages[0].startswith("1: text is empty")
    assert messages[1].startswith("2: the prompt has")
    assert messages[1].endswith("the bundle takes 96 with those that follow: shorten it")
    assert messages[2].startswith("3: text is int, expected str")
    with pytest.raises(InputError, match=r"^prompt 1: text is empty"):
        generator.generate(["a", ""], OPTIONS)
    with pytest.raises(InputError, match=r"^text is empty"):
        generator.generate("", OPTIONS)
    with pytest.raises(
        InputError, match=r"^the prompt has \d+ tokens, max_length is 3: raise max_le"
    ):
        generator.generate(SENTENCES[0], GenerationOptions(max_length=3))
    with pytest.raises(InputError, match=r"^prompts is bytes, expected a prompt or several$"):
        generator.generate(b"a")  # type: ignore[call-overload]
    with pytest.raises(InputError, match=r"^prompts is NoneType, expected several prompts$"):
        generator.generate_each(None)  # type: ignore[arg-type]


def test_ids_that_are_of_no_use_are_refused(generator: TextGenerator) -> None:
    for ids, message in (
        ([], "^prompt 1 has no tokens: give at least EOS$"),
        ([9**9], "^prompt 1 has token 387420489, the vocabulary ends at"),
        ([5] * 97, "^prompt 1 has 97 tokens, the bundle takes 96"),
        ([5] * 96, "^prompt 1: the prompt has 96 tokens, the bundle takes 96 with those that fol"),
        ([5] * 90, "^prompt 1: max_length is 98 tokens with the prompt, the bundle takes 96"),
    ):
        with pytest.raises(InputError, match=message):
            generator.generate_ids([[5], ids], OPTIONS)


def test_options_that_no_prompt_can_have_are_refused_at_once(generator: TextGenerator) -> None:
    for options, message in (
        (GenerationOptions(decoder_input_ids=[5]), "^decoder_input_ids is how summaries begin"),
        (GenerationOptions(max_length=97), "^max_length is 97 tokens with the prompt, the bundle"),
        (GenerationOptions(top_k=3), "^top_k 3 has no effect without sampling"),
    ):
        for call in (generator.generate, generator.generate_each, generator.generate_ids):
            with pytest.raises(OptionsError, match=message):
                call([[5]] if call == generator.generate_ids else ["a"], options)  # type: ignore[operator]
    with pytest.raises(OptionsError, match=r"^prompts is one text, expected several: call"):
        generator.generate_each("a")
    with pytest.raises(OptionsError, match=r"^prompt_tokens is 0, expected an integer from 1 up"):
        generator.resolve(prompt_tokens=0)
    with pytest.raises(OptionsError, match=r"^batch_size is 0, expected an integer from 1 up"):
        generator.generate_each(["a"], batch_size=0)


def test_a_cancelled_call_gives_what_was_finished(generator: TextGenerator) -> None:
    cancel, done = threading.Event(), []

    def note(count: int, total: int) -> None:
        done.append((count, total))
        cancel.set()

    with pytest.raises(GenerationInterrupted, match="cancelled") as caught:
        generator.generate(PROMPTS, OPTIONS, on_progress=note, cancel=cancel)
    assert [each is not None for each in caught.value.results].count(True) == done[0][0]
    assert done[0][1] == len(PROMPTS)
    with pytest.raises(GenerationInterrupted, match="took longer than 0 s"):
        generator.generate("a", timeout_s=0)


def test_a_seed_draws_the_same_for_a_prompt_wherever_it_stands(generator: TextGenerator) -> None:
    options = GenerationOptions(do_sample=True, seed=7, max_new_tokens=8, num_beams=1)
    found = generator.generate(PROMPTS, options)
    assert found[3] == found[0]
    assert found[::-1] == generator.generate(PROMPTS[::-1], options)


def test_other_bundles_and_a_closed_one_are_refused(tiny_bundle: Callable[..., Path]) -> None:
    with pytest.raises(BundleError, match=r"open it with Summarizer$"):
        TextGenerator.load(tiny_bundle())
    with pytest.raises(BundleError, match=r"open it with Summarizer$"):
        TextGenerator.load(tiny_bundle(target="trt-rtx"))
    with pytest.raises(BundleError, match=r"open it with TextGenerator$"):
        FeatureExtractor.load(tiny_bundle(CAUSAL))
    with pytest.raises(BundleError, match="for target 'onnx', text-generation runs ort: export"):
        TextGenerator.load(tiny_bundle(CAUSAL, "onnx"))
    with TextGenerator.load(tiny_bundle(CAUSAL), threads=1) as generator:
        pass
    for call in (generator.generate, generator.generate_each):
        with pytest.raises(BundleError, match="the TextGenerator is closed: load it again"):
            call(["a"])
    with pytest.raises(BundleError, match="the TextGenerator is closed: load it again"):
        generator.generate_ids([[5]])


@torch.no_grad()
def test_an_unknown_share_is_told(generator: TextGenerator) -> None:
    assert generator.generate("\u4e2d\u6587" * 8, OPTIONS).unknown_share == 1.0
