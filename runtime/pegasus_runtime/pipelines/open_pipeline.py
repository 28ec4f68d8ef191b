"""`pipeline`: one call from a task's name and a model to what answers as transformers' did."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.pipelines.constructor_arguments import without_constructor_arguments
from pegasus_runtime.pipelines.feature_extraction import FeatureExtractionPipeline
from pegasus_runtime.pipelines.question_answering import QuestionAnsweringPipeline
from pegasus_runtime.pipelines.text_classification import TextClassificationPipeline
from pegasus_runtime.pipelines.text_generation import TextGenerationPipeline
from pegasus_runtime.pipelines.text_to_text import TextToTextPipeline, TextToTextTask
from pegasus_runtime.spelling import did_you_mean
from pegasus_runtime.tasks.feature_extractor import FeatureExtractor
from pegasus_runtime.tasks.question_answerer import QuestionAnswerer
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.text_classifier import TextClassifier
from pegasus_runtime.tasks.text_generator import TextGenerator

__all__ = ["pipeline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What a task's model is opened with, and what calls it."""

    model: type[Any]
    make: Callable[..., Any]


_KINDS: Mapping[str, _Kind] = {
    "summarization": _Kind(model=Summarizer, make=TextToTextPipeline),
    "text2text-generation": _Kind(model=Summarizer, make=TextToTextPipeline),
    "text-classification": _Kind(model=TextClassifier, make=TextClassificationPipeline),
    "question-answering": _Kind(model=QuestionAnswerer, make=QuestionAnsweringPipeline),
    "feature-extraction": _Kind(model=FeatureExtractor, make=FeatureExtractionPipeline),
    "text-generation": _Kind(model=TextGenerator, make=TextGenerationPipeline),
}
_ALIASES = {"sentiment-analysis": "text-classification"}


@overload
def pipeline(
    task: TextToTextTask, model: Path | str | Summarizer, **keywords: Any
) -> TextToTextPipeline: ...


@overload
def pipeline(
    task: Literal["text-classification", "sentiment-analysis"],
    model: Path | str | TextClassifier,
    **keywords: Any,
) -> TextClassificationPipeline: ...


@overload
def pipeline(
    task: Literal["question-answering"], model: Path | str | QuestionAnswerer, **keywords: Any
) -> QuestionAnsweringPipeline: ...


@overload
def pipeline(
    task: Literal["feature-extraction"], model: Path | str | FeatureExtractor, **keywords: Any
) -> FeatureExtractionPipeline: ...


@overload
def pipeline(
    task: Literal["text-generation"], model: Path | str | TextGenerator, **keywords: Any
) -> TextGenerationPipeline: ...


def pipeline(task: str, model: Any = None, **keywords: Any) -> Any:
    """What transformers 4's `pipeline` was, for the tasks and models that run here.

    task: "summarization", "text2text-generation", "text-classification" (or "sentiment-analysis"),
    "question-answering", "feature-extraction" or "text-generation". model: what `load` of the
    task's class takes (`Summarizer`, `TextClassifier`, `QuestionAnswerer`, `FeatureExtractor`,
    `TextGenerator`), or one that is loaded.
    keywords: of `load`, by its names; of every call, unless the call has them too, by those of the
    pipeline that is returned, and of `GenerationOptions`; and those of transformers' `pipeline`
    (device, framework, torch_dtype, tokenizer, …) where they ask for what is done anyway.
    Raises: OptionsError for others, and for a task that is none of these; what `load` raises.

    >>> summarizer = pipeline("summarization", "xsum")  # doctest: +SKIP
    >>> summarizer("A long text ...", max_length=40)  # doctest: +SKIP
    [{'summary_text': '...'}]
    """
    name = _ALIASES.get(task, task)
    if name not in _KINDS:
        known = [*_KINDS, *_ALIASES]
        near = did_you_mean(str(task), known) or f": pass one of {', '.join(known)}"
        raise OptionsError(f"task is {task!r}, which is no pipeline here{near}")
    kind = _KINDS[name]
    names = {*list(inspect.signature(kind.model.load).parameters)[1:]}  # but what is to be loaded
    given = without_constructor_arguments(model, keywords, taken_by_load=names)
    load_options = {key: given.pop(key) for key in names & given.keys()}
    if isinstance(model, kind.model):
        if load_options:
            raise OptionsError(
                f"{min(load_options)} is for loading, and the {kind.model.__name__} is loaded: "
                "pass it to load"
            )
        return kind.make(model, name, **given)
    if not isinstance(model, str | Path):
        raise OptionsError(
            f"model is {type(model).__name__}, expected a bundle's folder or a "
            f"{kind.model.__name__}: export the checkpoint, pegasus-export --model … --output …"
        )
    return kind.make(kind.model.load(model, **load_options), name, **given)
