"""Bundle to summaries: NumPy, SentencePiece and one engine library.

>>> from pegasus_runtime import GenerationOptions, Summarizer
>>> with Summarizer.load("build/pegasus-mini") as summarizer:     # doctest: +SKIP
...     summary = summarizer.summarize("A long text ...", GenerationOptions(num_beams=4))
...     print(summary.text)

Names are loaded when they are first asked for: a command has signals to handle before that.
"""

from pegasus_runtime.version import __version__

TYPE_CHECKING = False  # typing's own takes milliseconds to import
if TYPE_CHECKING:
    from pegasus_runtime.batcher.batcher import Batcher
    from pegasus_runtime.batcher.counters import Counters
    from pegasus_runtime.errors import (
        BundleError,
        EngineError,
        GenerationInterrupted,
        InputError,
        OptionsError,
        Overloaded,
        PegasusError,
    )
    from pegasus_runtime.generation.failure import Failure
    from pegasus_runtime.pipelines.open_pipeline import pipeline
    from pegasus_runtime.search.options import GenerationOptions
    from pegasus_runtime.search.score import Hypothesis
    from pegasus_runtime.tasks.async_summarizer import AsyncSummarizer
    from pegasus_runtime.tasks.feature_extractor import FeatureExtractor, Features
    from pegasus_runtime.tasks.generation import Generation
    from pegasus_runtime.tasks.partial import Partial
    from pegasus_runtime.tasks.question_answerer import Answer, QuestionAnswerer
    from pegasus_runtime.tasks.summarizer import Summarizer
    from pegasus_runtime.tasks.summary import Summary
    from pegasus_runtime.tasks.text_classifier import Classification, TextClassifier
    from pegasus_runtime.tasks.text_generator import TextGenerator

__all__ = [
    "Answer",
    "AsyncSummarizer",
    "Batcher",
    "BundleError",
    "Classification",
    "Counters",
    "EngineError",
    "Failure",
    "FeatureExtractor",
    "Features",
    "Generation",
    "GenerationInterrupted",
    "GenerationOptions",
    "Hypothesis",
    "InputError",
    "OptionsError",
    "Overloaded",
    "Partial",
    "PegasusError",
    "QuestionAnswerer",
    "Summarizer",
    "Summary",
    "TextClassifier",
    "TextGenerator",
    "__version__",
    "pipeline",
]

_HOMES = {
    "Answer": "tasks.question_answerer",
    "AsyncSummarizer": "tasks.async_summarizer",
    "Batcher": "batcher.batcher",
    "BundleError": "errors",
    "Classification": "tasks.text_classifier",
    "Counters": "batcher.counters",
    "EngineError": "errors",
    "Failure": "generation.failure",
    "FeatureExtractor": "tasks.feature_extractor",
    "Features": "tasks.feature_extractor",
    "Generation": "tasks.generation",
    "GenerationInterrupted": "errors",
    "GenerationOptions": "search.options",
    "Hypothesis": "search.score",
    "InputError": "errors",
    "OptionsError": "errors",
    "Overloaded": "errors",
    "Partial": "tasks.partial",
    "PegasusError": "errors",
    "QuestionAnswerer": "tasks.question_answerer",
    "Summarizer": "tasks.summarizer",
    "Summary": "tasks.summary",
    "TextClassifier": "tasks.text_classifier",
    "TextGenerator": "tasks.text_generator",
    "pipeline": "pipelines.open_pipeline",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
