"""Pipeline "text-classification": texts, or pairs of them, to labels with scores.

Source: transformers 4.57, pipelines/text_classification.py.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Activation
from pegasus_runtime.errors import InputError, OptionsError
from pegasus_runtime.generation.stream import check_count
from pegasus_runtime.pipelines.keywords import check_known, drop_none, is_truncating
from pegasus_runtime.pipelines.pipeline_inputs import check_texts, in_groups
from pegasus_runtime.tasks.text_classifier import TextClassifier, activate

__all__ = ["TextClassificationPipeline"]

_LOG = logging.getLogger(__name__)
_OWN = (
    "batch_size",
    "function_to_apply",
    "max_length",
    "num_workers",
    "padding",
    "return_all_scores",
    "top_k",
    "truncation",
)
_FUNCTIONS: tuple[Activation, ...] = ("sigmoid", "softmax", "none")
_PAIR = ("text", "text_pair")

Text: TypeAlias = str | Mapping[str, str]
"""Or {"text": …, "text_pair": …}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """The keywords of one call, with those of the pipeline under them."""

    top_k: int | None
    sorts: bool
    """Whether top_k was given: a list then, the best first, even of one."""
    activation: Activation
    truncate: bool
    max_tokens: int | None
    batch_size: int


class TextClassificationPipeline:
    """What `pipeline("text-classification")` was.

    Called with a text, it returns [{"label": …, "score": …}]; with {"text": …, "text_pair": …}, one
    dictionary; with a list of them, a list; with what gives them one by one, an iterator, which
    reads no more than batch_size ahead. With top_k there is a list of dictionaries for each text.
    """

    def __init__(self, model: TextClassifier, task: str, **keywords: Any) -> None:
        """keywords: of every call, unless the call has them too. Raises: OptionsError."""
        self.model = model
        self.task = task
        self._keywords = keywords
        self._call({})

    def __call__(self, inputs: Text | Iterable[Text], **keywords: Any) -> Any:
        """Texts to labels.

        top_k: so many labels, the best first; None for all. function_to_apply: "softmax",
        "sigmoid" or "none" in place of the checkpoint's. return_all_scores: the older name, whose
        labels come in the checkpoint's order. truncation, max_length: cut a text that is over the
        bundle's limit, or over max_length tokens; of a pair, the longer is cut first. padding and
        num_workers have no effect.
        Raises: InputError, OptionsError, EngineError.
        """
        call = self._call(keywords)
        if isinstance(inputs, str | Mapping):
            (result,) = self._label([inputs], call)
            # As there: asked when it is called, for a text alone.
            return [result] if isinstance(inputs, str) and "top_k" not in keywords else result
        check_texts("inputs", inputs)
        found = self._label_each(inputs, call)
        return list(found) if isinstance(inputs, list) else found

    def _call(self, keywords: dict[str, Any]) -> _Call:
        given = drop_none({**self._keywords, **drop_none(keywords, but=("top_k",))}, but=("top_k",))
        check_known(given, _OWN)
        sorts = "top_k" in given
        top_k = _checked_top_k(given.get("top_k", 1))
        is_newer = "return_all_scores" in keywords and "top_k" not in keywords
        if "return_all_scores" in given and (is_newer or not sorts):
            _LOG.warning("return_all_scores has another name now: top_k=None, or top_k=1")
            top_k = None if given["return_all_scores"] else 1
        if given.get("padding") not in (None, True, False, "longest", "do_not_pad"):
            raise OptionsError(
                f"padding is {given['padding']!r}, which has no effect: leave it out"
            )
        classifier = self.model.bundle.manifest.classifier
        assert classifier is not None  # TextClassifier.load has looked
        max_tokens = given.get("max_length")
        for name in ("batch_size", "max_length"):
            check_count(name, given.get(name, 1))
        return _Call(
            top_k=top_k,
            sorts=sorts,
            activation=_checked_function(given.get("function_to_apply", classifier.activation)),
            truncate=is_truncating(given.get("truncation", max_tokens is not None)),
            max_tokens=max_tokens,
            batch_size=given.get("batch_size", 1),
        )

    def _label_each(self, inputs: Iterable[Text], call: _Call) -> Iterator[Any]:
        for group in in_groups(inputs, call.batch_size):
            yield from self._label(group, call)

    def _label(self, inputs: list[Text], call: _Call) -> list[Any]:
        sources = [self._encode(each, call) for each in inputs]
        return [self._result(logits, call) for logits in self.model.logits(sources)]

    def _encode(self, given: Text, call: _Call) -> tuple[int, ...]:
        if not isinstance(given, Mapping):
            return self.model.encode(
                given, truncate=call.truncate, max_tokens=call.max_tokens
            ).token_ids
        if not {"text"} <= given.keys() <= set(_PAIR):
            raise InputError(
                f"input has {', '.join(map(str, given)) or 'nothing'}, expected text, and text_pair"
            )
        return self.model.encode(
            given["text"],
            pair=given.get("text_pair"),
            truncate=call.truncate,
            max_tokens=call.max_tokens,
        ).token_ids

    def _result(self, logits: npt.NDArray[np.float32], call: _Call) -> Any:
        classifier = self.model.bundle.manifest.classifier
        assert classifier is not None
        scores = activate(logits, call.activation)
        records = [
            {"label": label, "score": float(score)}
            for label, score in zip(classifier.labels, scores, strict=True)
        ]
        if not call.sorts:
            return records[int(scores.argmax())] if call.top_k == 1 else records
        return [records[index] for index in np.argsort(-scores, kind="stable")][: call.top_k]


def _checked_top_k(top_k: Any) -> int | None:
    is_count = isinstance(top_k, Integral) and not isinstance(top_k, bool) and int(top_k) > 0
    if top_k is not None and not is_count:
        raise OptionsError(f"top_k is {top_k!r}, expected a number of labels, or None for all")
    return None if top_k is None else int(top_k)


def _checked_function(name: Any) -> Activation:
    for each in _FUNCTIONS:
        if str(name).lower() == each:
            return each
    raise OptionsError(f"function_to_apply is {name!r}, expected one of {', '.join(_FUNCTIONS)}")
