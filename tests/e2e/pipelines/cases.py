"""What both pipelines are called with: texts and keywords, of each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from exporter.tiny_checkpoint import tiny_sentences
from wire_reports import HELD_OUT_SEEDS, generate_report

__all__ = ["GENERATING", "OTHERS", "SHORT", "Case", "generating_cases", "wire_texts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One pipeline, and calls of it."""

    task: str
    constructor: dict[str, Any] = field(default_factory=dict)
    calls: Sequence[tuple[Sequence[Any], dict[str, Any]]]
    """Positional arguments and keywords of each."""


OPTION_SETS: tuple[dict[str, Any], ...] = (
    {},
    {"min_length": 12, "max_length": 30, "truncation": True},
    {"num_beams": 1, "do_sample": False, "return_text": True, "stop_sequence": "in the"},
    {"num_beams": 6, "length_penalty": 2.0, "no_repeat_ngram_size": 3, "early_stopping": True},
    {"num_return_sequences": 3, "clean_up_tokenization_spaces": True},
    {"return_tensors": True, "num_return_sequences": 2},
    {"max_new_tokens": 12, "repetition_penalty": 1.3, "return_tensors": True},
    {"encoder_no_repeat_ngram_size": 4, "early_stopping": "never", "min_new_tokens": 8},
    {"batch_size": 4, "bad_words_ids": [[107]], "num_beams": 2},
    {
        "suppress_tokens": [116],
        "forced_bos_token_id": 210,
        "exponential_decay_length_penalty": [5, 1.1],
    },
)
GENERATING = ("summarization", "text2text-generation")


def wire_texts(count: int) -> list[str]:
    """Reports that no demo checkpoint was trained with."""
    return [generate_report(seed).document for seed in HELD_OUT_SEEDS[:count]]


def generating_cases(task: str, texts: list[str]) -> list[Case]:
    """All option sets at every text: in a list, and the first two alone, and as settings of the
    pipeline itself."""
    calls = [((texts,), options) for options in OPTION_SETS]
    alone = [((text,), options) for text in texts[:1] for options in OPTION_SETS[4:6]]
    own = {"max_length": 30, "num_beams": 2, "truncation": True}
    return [
        Case(task=task, calls=[*calls, *alone]),
        Case(
            task=task, constructor=own, calls=[((texts[:2],), {}), ((texts[0],), {"num_beams": 3})]
        ),
    ]


SHORT, LONGER = tiny_sentences()[0], " ".join(tiny_sentences()[:2])
PAIR = {"text": SHORT, "text_pair": LONGER}
LONG = " ".join(tiny_sentences()[5:17])
QUESTIONS = ("Who sold it?", "What was lost near the river?", "When?")

_LABELS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (SHORT, {}),
    ([SHORT, LONGER], {}),
    (PAIR, {}),
    ([PAIR, {"text": LONGER}], {}),
    (SHORT, {"top_k": None}),
    (SHORT, {"top_k": 1}),
    (SHORT, {"top_k": 2}),
    ([SHORT, LONGER], {"top_k": 2}),
    (PAIR, {"top_k": 3}),
    (SHORT, {"return_all_scores": True}),
    ([SHORT, LONGER], {"return_all_scores": True}),
    (SHORT, {"return_all_scores": False}),
    (SHORT, {"function_to_apply": "sigmoid", "top_k": None}),
    (SHORT, {"function_to_apply": "none", "top_k": None}),
    (SHORT, {"function_to_apply": "SOFTMAX"}),
    (LONG, {"truncation": True, "max_length": 50}),
    (LONG, {"max_length": 40}),
    ({"text": LONG, "text_pair": LONGER}, {"truncation": True, "max_length": 60}),
    ({"text": LONG, "text_pair": LONG}, {"truncation": True, "max_length": 31, "padding": True}),
    ([], {}),
)
_WINDOWS = {"max_seq_len": 60, "doc_stride": 12}
_ASKED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (QUESTIONS[0], SHORT, {}),
    (QUESTIONS[0], LONGER, {"max_seq_len": 96}),
    (QUESTIONS[0], LONG, _WINDOWS),
    (QUESTIONS[1], LONG, _WINDOWS),
    (QUESTIONS[2], LONG, _WINDOWS),
    (QUESTIONS[0], LONG, {"max_seq_len": 90}),
    (QUESTIONS[0], LONG, {"max_seq_len": 40, "doc_stride": 0}),
    (QUESTIONS[0], LONG, {**_WINDOWS, "top_k": 5}),
    (QUESTIONS[1], LONG, {**_WINDOWS, "top_k": 20}),
    (QUESTIONS[1], LONG, {**_WINDOWS, "top_k": 3, "max_answer_len": 4}),
    (QUESTIONS[1], LONG, {**_WINDOWS, "top_k": 3, "max_answer_len": 1}),
    (QUESTIONS[0], LONG, {**_WINDOWS, "align_to_words": False}),
    (QUESTIONS[1], LONG, {**_WINDOWS, "align_to_words": False, "top_k": 6}),
    (QUESTIONS[2], LONG, {**_WINDOWS, "align_to_words": False, "top_k": 50}),
    (QUESTIONS[2], SHORT, {"handle_impossible_answer": True, "top_k": 4}),
    (QUESTIONS[2], LONG, {**_WINDOWS, "handle_impossible_answer": True, "top_k": 40}),
    (QUESTIONS[0], LONG, {**_WINDOWS, "max_question_len": 2, "padding": "do_not_pad"}),
)
_SEVERAL: tuple[dict[str, Any], ...] = (
    {"question": list(QUESTIONS), "context": SHORT},
    {"question": list(QUESTIONS[:2]), "context": [SHORT, LONGER], "max_seq_len": 96},
    {"question": [QUESTIONS[0]], "context": [SHORT]},
)
_TOKENIZED: dict[str, Any] = {"tokenize_kwargs": {"truncation": True}}
_FEATURES: list[tuple[Any, dict[str, Any]]] = [
    *((text, {}) for text in tiny_sentences()[:12]),
    *((text, {"return_tensors": True}) for text in (SHORT, LONGER)),
    (list(tiny_sentences()[12:17]), {}),
    (list(tiny_sentences()[17:20]), {"return_tensors": True}),
    (SHORT, {"truncation": True}),
    (LONGER, _TOKENIZED),
    ([], {}),
    ([SHORT], {}),
]
_PROMPTS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (SHORT, {}),
    (SHORT, {"max_new_tokens": 9}),
    ([SHORT, LONGER], {"max_new_tokens": 5}),
    ([SHORT], {"max_new_tokens": 5}),
    (SHORT, {"return_full_text": False}),
    (SHORT, {"return_tensors": True}),
    (SHORT, {"max_length": 60}),
    (SHORT, {"max_length": 60, "num_beams": 1, "stop_sequence": "boat"}),
    (SHORT, {"num_return_sequences": 3, "max_new_tokens": 8}),
    (SHORT, {"num_return_sequences": 3, "return_tensors": True}),
    (SHORT, {"add_special_tokens": False}),
    (LONGER, {"add_special_tokens": False, "max_new_tokens": 12, "num_beams": 2}),
    (SHORT, {"prefix": "In March", "max_new_tokens": 6}),
    (SHORT, {"prefix": "In March", "max_length": 50, "add_special_tokens": False}),
    (LONG, {"handle_long_generation": "hole", "max_new_tokens": 10}),
    (SHORT, {"handle_long_generation": "hole", "max_new_tokens": 70, "min_length": 80}),
    (SHORT, {"clean_up_tokenization_spaces": False, "max_new_tokens": 20}),
    (SHORT, {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2}),
    (SHORT, {"min_new_tokens": 12, "max_new_tokens": 14, "length_penalty": 2.0}),
    (SHORT, {"return_text": True, "truncation": True, "max_new_tokens": 3}),
)
OTHERS = {
    "BigBirdPegasusForSequenceClassification": Case(
        task="text-classification", calls=[((given,), keywords) for given, keywords in _LABELS]
    ),
    "BigBirdPegasusForQuestionAnswering": Case(
        task="question-answering",
        calls=[
            *(((), {"question": q, "context": c, **keywords}) for q, c, keywords in _ASKED),
            *(((), keywords) for keywords in _SEVERAL),
        ],
    ),
    "BigBirdPegasusModel": Case(
        task="feature-extraction", calls=[((given,), keywords) for given, keywords in _FEATURES]
    ),
    "PegasusForCausalLM": Case(
        task="text-generation",
        constructor={"do_sample": False, "temperature": 1.0, "max_new_tokens": 30},
        calls=[((given,), keywords) for given, keywords in _PROMPTS],
    ),
}
"""architecture -> 20 calls."""
