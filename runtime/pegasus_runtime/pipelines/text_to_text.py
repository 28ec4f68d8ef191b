"""Pipelines "summarization" and "text2text-generation": texts in, texts out.

Source: transformers 4.57, pipelines/text2text_generation.py.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pegasus_runtime.errors import InputError
from pegasus_runtime.generation.stream import WINDOW_DOCUMENTS
from pegasus_runtime.pipelines.generation_keywords import (
    DEFAULT_MAX_LENGTH,
    GENERATION_KEYWORDS,
    PipelineDefaults,
    generation_options,
    task_settings,
)
from pegasus_runtime.pipelines.keywords import check_known, drop_none, is_truncating
from pegasus_runtime.pipelines.padded_rows import pad_rows
from pegasus_runtime.pipelines.pipeline_inputs import check_texts
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding

__all__ = ["TextToTextPipeline", "TextToTextTask"]

TextToTextTask: TypeAlias = Literal["summarization", "text2text-generation"]
Records: TypeAlias = list[dict[str, Any]]
"""One for each sequence that num_return_sequences asks for, of one text."""

_LOG = logging.getLogger(__name__)
_KEYS: dict[TextToTextTask, str] = {
    "summarization": "summary",
    "text2text-generation": "generated",
}
_OWN = (
    "batch_size",
    "clean_up_tokenization_spaces",
    "num_workers",
    "return_tensors",
    "return_text",
    "stop_sequence",
    "truncation",
)
_DEFAULTS = PipelineDefaults(settings={"num_beams": 4})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """The keywords of one call, with those of the pipeline under them."""

    options: GenerationOptions
    truncate: bool
    as_tensors: bool
    clean_up_spaces: bool
    batch_size: int | None


class TextToTextPipeline:
    """What `pipeline("summarization")` and `pipeline("text2text-generation")` were.

    Called with a text, it returns a list of one dictionary, {"summary_text": …} or
    {"generated_text": …}: of several, with num_return_sequences. Called with a list of texts, a
    list of dictionaries; or of such lists, where there are several for a text. Called with what
    gives texts one by one (a generator, a dataset), an iterator of such lists, which reads no more
    than batch_size of them ahead.
    """

    def __init__(self, model: Summarizer, task: TextToTextTask, **keywords: Any) -> None:
        """keywords: of every call, unless the call has them too. Raises: OptionsError."""
        self.model = model
        self.task = task
        self._keywords = keywords
        self._prefix = str(
            task_settings(model.bundle.manifest, task).get("prefix")
            or model.bundle.manifest.generation.get("prefix")
            or ""
        )
        self._call({})  # what is wrong with them is said now

    def __call__(self, inputs: str | Iterable[str], **keywords: Any) -> Any:
        """Texts to texts.

        Options of generation go by their names in `GenerationOptions`; besides: truncation (cut a
        text that is over the bundle's limit, rather than raise), batch_size (so many run together;
        without it as many of a list as memory allows), clean_up_tokenization_spaces (no space
        before punctuation), stop_sequence (whose first token ends a text), return_tensors
        (summary_token_ids or generated_token_ids, NumPy's int64, start token included, in place of
        the text); return_text and num_workers have no effect, as there.
        Raises: InputError, OptionsError, EngineError.
        """
        call = self._call(keywords)
        check_texts("inputs", inputs)
        if isinstance(inputs, str):
            return next(self._run([self._encode(inputs, call)], call))
        encodings = self._encode_each(inputs, call)
        if not isinstance(inputs, list):
            return self._run(encodings, call, window=call.batch_size or 1)
        results = list(self._run(list(encodings), call))  # a bad text is told before any is run
        return [only for (only,) in results] if _are_single(results) else results

    def _call(self, keywords: dict[str, Any]) -> _Call:
        given = drop_none({**self._keywords, **drop_none(keywords)})
        check_known(given, _OWN, GENERATION_KEYWORDS)
        own = {name: given.pop(name) for name in _OWN if name in given}
        if "stop_sequence" in own:
            given["eos_token_id"] = self._first_token(own["stop_sequence"])
        return _Call(
            options=generation_options(self.model.bundle.manifest, self.task, _DEFAULTS, given),
            truncate=is_truncating(own.get("truncation", False)),
            as_tensors=bool(own.get("return_tensors", False)),
            clean_up_spaces=bool(own.get("clean_up_tokenization_spaces", False)),
            batch_size=own.get("batch_size"),
        )

    def _first_token(self, stop_sequence: str) -> int:
        ids = self.model.encode_prefix(stop_sequence)
        if len(ids) > 1:
            _LOG.warning("stop_sequence has %s tokens, of which the first ends a text", len(ids))
        return ids[0]

    def _run(
        self, encodings: Iterable[Encoding], call: _Call, *, window: int = WINDOW_DOCUMENTS
    ) -> Iterator[Records]:
        found = self.model.summarize_each(
            encodings, call.options, batch_size=call.batch_size, window=window
        )
        return (self._records(each, call) for each in found if isinstance(each, Summary))

    def _encode_each(self, texts: Iterable[str], call: _Call) -> Iterator[Encoding]:
        for number, text in enumerate(texts):
            try:
                yield self._encode(text, call)
            except InputError as err:
                raise InputError(f"text {number}: {err}") from err

    def _encode(self, text: str, call: _Call) -> Encoding:
        encoding = self.model.encode(self._with_prefix(text), truncate=call.truncate)
        if self.task == "summarization":
            self._tell_odd_lengths(len(encoding.token_ids), call.options)
        return encoding

    def _with_prefix(self, text: str) -> str:
        return self._prefix + text if self._prefix and isinstance(text, str) and text else text

    def _tell_odd_lengths(self, source: int, options: GenerationOptions) -> None:
        """transformers' two hints, by what it compares: max_length alone, whatever else is set."""
        own: Mapping[str, Any] = self.model.bundle.manifest.generation
        longest = options.max_length or own.get("max_length") or DEFAULT_MAX_LENGTH
        least = options.min_length or own.get("min_length") or 0
        if longest < least:
            _LOG.warning("min_length is %s, more than max_length %s: lower it", least, longest)
        if source < longest:
            _LOG.warning(
                "max_length is %s, the text has only %s tokens: a summary is usually shorter than "
                "its text, lower max_length (to %s, say)",
                longest,
                source,
                source // 2,
            )

    def _records(self, summary: Summary, call: _Call) -> Records:
        found = [summary.token_ids, *(each.token_ids for each in summary.alternatives)]
        key = _KEYS[self.task]
        if call.as_tensors:
            settings = self.model.resolve(call.options)
            start = settings.tokens.decoder_start
            rows = pad_rows([(start, *ids) for ids in found], settings)
            return [{f"{key}_token_ids": row} for row in rows]
        return [
            {f"{key}_text": self.model.decode(ids, clean_up_spaces=call.clean_up_spaces)}
            for ids in found
        ]


def _are_single(results: Sequence[Records]) -> bool:
    return all(len(records) == 1 for records in results)
