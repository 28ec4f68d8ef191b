"""The architectures that can be exported: what each consists of, and which tasks it can serve."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pegasus_export.errors import UnsupportedError
from pegasus_runtime.bundle import Task

__all__ = ["ARCHITECTURES", "ModelType", "Parts", "find_architecture"]

ModelType: TypeAlias = Literal["pegasus", "bigbird_pegasus", "pegasus_x"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an architecture has beside its decoder, and what it is for."""

    model_type: ModelType
    """As config.json has it."""
    tasks: tuple[Task, ...]
    """Its own task first."""
    encoder: bool = True
    lm_head: bool = False
    may_tie: bool = True
    """Whether transformers ties the head to the embedding where the config says so."""
    classification_head: bool = False
    qa_outputs: bool = False


ARCHITECTURES: Final[Mapping[str, Parts]] = {
    "PegasusForConditionalGeneration": Parts(
        model_type="pegasus", tasks=("summarization", "feature-extraction"), lm_head=True
    ),
    "PegasusModel": Parts(model_type="pegasus", tasks=("feature-extraction",)),
    "PegasusForCausalLM": Parts(
        model_type="pegasus", tasks=("text-generation",), encoder=False, lm_head=True
    ),
    "BigBirdPegasusForConditionalGeneration": Parts(
        model_type="bigbird_pegasus", tasks=("summarization", "feature-extraction"), lm_head=True
    ),
    "BigBirdPegasusModel": Parts(model_type="bigbird_pegasus", tasks=("feature-extraction",)),
    "BigBirdPegasusForSequenceClassification": Parts(
        model_type="bigbird_pegasus",
        tasks=("text-classification", "feature-extraction"),
        classification_head=True,
    ),
    "BigBirdPegasusForQuestionAnswering": Parts(
        model_type="bigbird_pegasus",
        tasks=("question-answering", "feature-extraction"),
        qa_outputs=True,
    ),
    "BigBirdPegasusForCausalLM": Parts(
        model_type="bigbird_pegasus",
        tasks=("text-generation",),
        encoder=False,
        lm_head=True,
        may_tie=False,
    ),
    "PegasusXForConditionalGeneration": Parts(
        model_type="pegasus_x", tasks=("summarization", "feature-extraction"), lm_head=True
    ),
    "PegasusXModel": Parts(model_type="pegasus_x", tasks=("feature-extraction",)),
}
"""By class name, as config.json has it; of each model_type, the first is its usual one."""

# Other summarizers, and models of like names, by what people call them.
_OTHER_MODELS: Final[Mapping[str, str]] = {
    "bart": "BART",
    "big_bird": "BigBird, an encoder",
    "blenderbot": "BlenderBot",
    "blenderbot-small": "BlenderBot",
    "led": "LED",
    "longt5": "LongT5",
    "marian": "Marian",
    "mbart": "mBART",
    "mt5": "mT5",
    "prophetnet": "ProphetNet",
    "t5": "T5",
    "umt5": "UMT5",
}
_HEADS: Final = ("ForCausalLM", "ForSequenceClassification", "ForQuestionAnswering")


def find_architecture(fields: Mapping[str, Any], path: Path) -> tuple[str, list[str]]:
    """The architecture of a config.json, and notes: what transformers' Auto classes would load.

    They go by model_type; a subclass's name in architectures means nothing to them.
    Raises: UnsupportedError.
    """
    model_type, names = fields.get("model_type"), fields.get("architectures")
    offered = [name for name, parts in ARCHITECTURES.items() if parts.model_type == model_type]
    if not offered:
        *others, last = dict.fromkeys(repr(x.model_type) for x in ARCHITECTURES.values())
        expected = f"{', '.join(others)} or {last}"
        known = _OTHER_MODELS.get(model_type) if isinstance(model_type, str) else None
        is_a = f", which is {known}," if known else ","
        raise UnsupportedError(
            f"{path} has model_type {model_type!r}{is_a} expected {expected}: "
            "choose a PEGASUS checkpoint"
        )
    if names is None or names == []:
        return offered[0], []
    known_names = [name for name in offered if isinstance(names, list) and name in names]
    if len(known_names) == 1:
        others = [name for name in names if name != known_names[0]]
        return known_names[0], [f"architectures names {others} too"] if others else []
    if known_names or not isinstance(names, list) or not all(_is_foreign(name) for name in names):
        raise UnsupportedError(
            f"{path} has architectures {names!r}, expected one of {', '.join(offered)}"
        )
    ends = [end for end in _HEADS if names[0].endswith(end)] or ["ForConditionalGeneration"]
    likely = [name for name in offered if name.endswith(ends[0])]
    if not likely:
        raise UnsupportedError(
            f"{path} has architectures {names!r}, expected one of {', '.join(offered)}"
        )
    return likely[0], [
        f"architectures {names!r} is no class of transformers for {model_type!r}: taken for "
        f"{likely[0]}, as its Auto classes do"
    ]


def _is_foreign(name: object) -> bool:
    return isinstance(name, str) and name not in ARCHITECTURES
