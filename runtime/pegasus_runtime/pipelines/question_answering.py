"""Pipeline "question-answering": questions to passages, a long text cut into windows.

Source: transformers 4.57, pipelines/question_answering.py, as it is with a fast tokenizer.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

from pegasus_runtime.errors import InputError, OptionsError
from pegasus_runtime.pipelines.answer_windows import Token, find_tokens, window_ranges
from pegasus_runtime.pipelines.keywords import check_known, drop_none
from pegasus_runtime.pipelines.pipeline_inputs import check_texts
from pegasus_runtime.pipelines.ranked_spans import rank_spans
from pegasus_runtime.tasks.question_answerer import QuestionAnswerer

__all__ = ["QuestionAnsweringPipeline"]

_OWN = (
    "align_to_words",
    "batch_size",
    "doc_stride",
    "handle_impossible_answer",
    "max_answer_len",
    "max_question_len",
    "max_seq_len",
    "num_workers",
    "padding",
    "top_k",
)
_COUNTS = {"top_k": 1, "max_answer_len": 1, "max_seq_len": 1, "doc_stride": 0}
_LONGEST_WINDOW = 384
_LARGEST_OVERLAP = 128

Example: TypeAlias = Mapping[str, str]
"""{"question": …, "context": …}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """The keywords of one call, with those of the pipeline under them."""

    top_k: int = 1
    max_seq_len: int
    doc_stride: int
    max_answer_len: int = 15
    handle_impossible_answer: bool = False
    align_to_words: bool = True


class QuestionAnsweringPipeline:
    """What `pipeline("question-answering")` was.

    Called with a question and a context, or {"question": …, "context": …}, it returns {"score": …,
    "start": …, "end": …, "answer": …}, or a list of them, the best first, with top_k; with a list
    of questions, a list; with what gives dictionaries one by one, an iterator.
    """

    def __init__(self, model: QuestionAnswerer, task: str, **keywords: Any) -> None:
        """keywords: of every call, unless the call has them too. Raises: OptionsError."""
        self.model = model
        self.task = task
        self._keywords = keywords
        self._call({})

    def __call__(
        self,
        *inputs: Any,
        question: str | list[str] | None = None,
        context: str | list[str] | None = None,
        **keywords: Any,
    ) -> Any:
        """Questions to passages of their contexts.

        A text that is over max_seq_len tokens with the question (384, or the bundle's limit) is cut
        into windows, of which each has doc_stride (128, or half of max_seq_len) of the one before.
        top_k: most passages. max_answer_len: most tokens of one. align_to_words: whole words.
        handle_impossible_answer: no passage is an answer, too. Scores of passages that read the
        same are added up, as there. max_question_len, batch_size, padding and num_workers have no
        effect.
        Raises: InputError, OptionsError, EngineError.
        """
        call = self._call(keywords)
        given = _from_positions(inputs) if inputs else _from_keywords(question, context)
        if isinstance(given, Mapping):
            return self._answer(given, call)
        check_texts("inputs", given, expected="a dictionary of question and context, or several")
        if not isinstance(given, list):
            return (self._answer(each, call) for each in given)
        results = [self._answer(each, call) for each in given]
        return results[0] if len(results) == 1 else results

    def _call(self, keywords: dict[str, Any]) -> _Call:
        given = drop_none({**self._keywords, **drop_none(keywords)})
        check_known(given, _OWN)
        for name, least in _COUNTS.items():
            value = given.get(name, least)
            if not isinstance(value, Integral) or value < least:
                raise OptionsError(f"{name} is {value!r}, expected an integer from {least} up")
        limit = self.model.bundle.manifest.limits.max_source_tokens
        most = given.get("max_seq_len", min(limit, _LONGEST_WINDOW))
        if most > limit:
            raise OptionsError(
                f"max_seq_len is {most}, the bundle takes {limit} tokens: lower max_seq_len"
            )
        return _Call(
            max_seq_len=most,
            doc_stride=given.get("doc_stride", min(most // 2, _LARGEST_OVERLAP)),
            **{
                name: given[name]
                for name in (
                    "top_k",
                    "max_answer_len",
                    "handle_impossible_answer",
                    "align_to_words",
                )
                if name in given
            },
        )

    def _answer(self, example: Example, call: _Call) -> Any:
        question, text = _fields_of(example)
        asked = self.model.encode_pieces("question", question).token_ids
        read = self.model.encode_pieces("context", text)
        tokens, first = find_tokens(text, read), len(asked)
        ranges = list(
            window_ranges(first, len(tokens), max_tokens=call.max_seq_len, overlap=call.doc_stride)
        )
        eos = self.model.eos_token_id
        sources = [(*asked, *read.token_ids[start:end], eos) for start, end in ranges]
        answers: dict[str, dict[str, Any]] = {}
        candidates = call.top_k * 2 + 10 if call.align_to_words else call.top_k
        for (start, end), (starts, ends) in zip(ranges, self.model.logits(sources), strict=True):
            window = tokens[start:end]
            for begin, last, score in rank_spans(
                starts,
                ends,
                (first, first + end - start),
                count=candidates,
                max_tokens=call.max_answer_len,
            ):
                place = _place(window, begin - first, last - first, align=call.align_to_words)
                _add(answers, text, place, score)
        found = list(answers.values())
        if call.handle_impossible_answer:
            # The score of the window's first token, which is the question's: there is no [CLS].
            found.append({"score": 0.0, "start": 0, "end": 0, "answer": ""})
        found = sorted(found, key=lambda answer: -answer["score"])[: call.top_k]
        return found[0] if len(found) == 1 else found


def _add(
    answers: dict[str, dict[str, Any]], text: str, place: tuple[int, int], score: float
) -> None:
    start, end = place
    passage = text[start:end]
    same = answers.setdefault(
        passage.lower(), {"score": 0.0, "start": start, "end": end, "answer": passage}
    )
    same["score"] += score


def _place(window: list[Token], begin: int, last: int, *, align: bool) -> tuple[int, int]:
    """Characters of a span; of the whole words, as far as they lie in the window."""
    if not align:
        return window[begin].start, window[last].end
    first_word, last_word = window[begin].word, window[last].word
    while begin > 0 and window[begin - 1].word == first_word:
        begin -= 1
    while last + 1 < len(window) and window[last + 1].word == last_word:
        last += 1
    return window[begin].start, window[last].end


def _fields_of(example: Example) -> tuple[str, str]:
    if not isinstance(example, Mapping) or not {"question", "context"} <= example.keys():
        raise InputError("input is no dictionary of question and context: pass both, as text")
    for name in ("question", "context"):
        if not isinstance(example[name], str):
            raise InputError(f"{name} is {type(example[name]).__name__}, expected text")
    return example["question"], example["context"]


def _from_positions(inputs: tuple[Any, ...]) -> Any:
    if len(inputs) == 1:
        return inputs[0]
    if len(inputs) == 2 and all(isinstance(each, str) for each in inputs):
        return {"question": inputs[0], "context": inputs[1]}
    return list(inputs)


def _from_keywords(
    question: str | list[str] | None, context: str | list[str] | None
) -> Example | list[Example]:
    if question is None or context is None:
        missing = "question" if question is None else "context"
        raise InputError(f"{missing} is missing: pass question and context")
    if isinstance(question, str) and isinstance(context, str):
        return {"question": question, "context": context}
    for name, several in (("question", question), ("context", context)):
        if not isinstance(several, Collection):
            raise InputError(f"{name} is {type(several).__name__}, expected text, or a list of it")
    if isinstance(question, str):
        raise InputError("context is a list, and question is not: pass a question for each")
    contexts = [context] * len(question) if isinstance(context, str) else context
    if len(contexts) != len(question):
        raise InputError(f"there are {len(question)} questions and {len(contexts)} contexts")
    return [{"question": q, "context": c} for q, c in zip(question, contexts, strict=True)]
