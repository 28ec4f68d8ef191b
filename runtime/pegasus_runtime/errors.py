"""Everything that pegasus_runtime raises on purpose.

PegasusError
├── BundleError              the folder is not a bundle that this version can run
├── InputError               a document cannot be summarised: empty, too long, not UTF-8
├── OptionsError             options that cannot be met: of generation, or of loading
├── EngineError              the engine library is missing, or failed
├── GenerationInterrupted    cancelled, or out of time
└── Overloaded               a queue is full: try again later

Every message is one line: what is wrong, what was got, what was expected, what to do next.
"""

from collections.abc import Sequence
from typing import Any

__all__ = [
    "BundleError",
    "EngineError",
    "GenerationInterrupted",
    "InputError",
    "OptionsError",
    "Overloaded",
    "PegasusError",
]


class PegasusError(Exception):
    """Base of all errors that pegasus_runtime raises on purpose."""


class BundleError(PegasusError):
    """The folder is not a bundle that this version can run."""


class InputError(PegasusError):
    """A document cannot be summarised: empty, too long, not UTF-8."""


class OptionsError(PegasusError):
    """Options that cannot be met: of generation, or of loading."""


class EngineError(PegasusError):
    """The engine library is missing, or failed."""


class GenerationInterrupted(PegasusError):  # noqa: N818  it is an interruption
    """Generation was cancelled, or ran out of time.

    results: what was finished until then and not given out yet, in the order of the documents;
    None for a document that was not finished.
    """

    results: Sequence[Any] = ()


class Overloaded(PegasusError):  # noqa: N818  it is a state, which passes
    """A queue is full: try again.

    retry_after_s: when there is likely to be room, in seconds.
    """

    retry_after_s: float = 1.0
