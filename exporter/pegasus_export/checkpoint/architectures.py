"""The architectures that can be exported: what each consists of, and which tasks it can serve."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pegasus_runtime.bundle import Task

__all__ = ["ARCHITECTURES", "ModelType", "Parts"]

ModelType: TypeAlias = Literal["pegasus", "bigbird_pegasus"]


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
}
"""By class name, as config.json has it; of each model_type, the first is its usual one."""
