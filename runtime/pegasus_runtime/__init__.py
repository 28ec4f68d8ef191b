"""Bundle to summaries: NumPy, SentencePiece and one engine library.

>>> from pegasus_runtime import GenerationOptions, Summarizer
>>> with Summarizer.load("build/pegasus-mini") as summarizer:     # doctest: +SKIP
...     summary = summarizer.summarize("A long text ...", GenerationOptions(num_beams=4))
...     print(summary.text)
"""

from pegasus_runtime.errors import (
    BundleError,
    EngineError,
    GenerationInterrupted,
    InputError,
    OptionsError,
    PegasusError,
)
from pegasus_runtime.generation.failure import Failure
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.score import Hypothesis
from pegasus_runtime.tasks.question_answerer import Answer, QuestionAnswerer
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tasks.text_classifier import Classification, TextClassifier
from pegasus_runtime.version import __version__

__all__ = [
    "Answer",
    "BundleError",
    "Classification",
    "EngineError",
    "Failure",
    "GenerationInterrupted",
    "GenerationOptions",
    "Hypothesis",
    "InputError",
    "OptionsError",
    "PegasusError",
    "QuestionAnswerer",
    "Summarizer",
    "Summary",
    "TextClassifier",
    "__version__",
]
