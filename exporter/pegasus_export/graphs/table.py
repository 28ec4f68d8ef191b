"""Which graphs a task has in each target, and what checks them: the explicit table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pegasus_export.dialects import ort as ort_dialect
from pegasus_export.dialects import standard
from pegasus_export.errors import UnsupportedError
from pegasus_export.graphs import features, onnx, ort
from pegasus_export.graphs.definition import GraphDefinition
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.verify.measure import Measured
from pegasus_export.verify.onnx import verify_causal, verify_features, verify_seq2seq
from pegasus_export.verify.ort import verify_ort
from pegasus_export.verify.reference import Reference
from pegasus_runtime.bundle import Bundle, Target, Task

__all__ = ["TASKS", "Recipe", "find_recipe", "resolve_task"]

TASKS: Mapping[str, tuple[Task, ...]] = {
    "PegasusForConditionalGeneration": ("summarization", "feature-extraction"),
    "PegasusModel": ("feature-extraction",),
    "PegasusForCausalLM": ("text-generation",),
}
"""Architecture -> the tasks it can serve, its own first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one task is exported to one target."""

    graphs: Callable[[Pegasus], list[GraphDefinition]]
    verify: Callable[[Bundle, Reference], list[Measured]]
    weights_file: str


_RECIPES: Mapping[tuple[Target, Task], Recipe] = {
    ("ort", "summarization"): Recipe(
        graphs=ort.seq2seq_graphs, verify=verify_ort, weights_file="weights.bin"
    ),
    ("ort", "text-generation"): Recipe(
        graphs=ort.causal_graphs, verify=verify_ort, weights_file="weights.bin"
    ),
    ("ort", "feature-extraction"): Recipe(
        graphs=lambda pegasus: features.feature_graphs(pegasus, ort_dialect.attend_padded),
        verify=verify_features,
        weights_file="weights.bin",
    ),
    # Optimum downloads X.onnx and X.onnx_data from a hub, and nothing else
    ("onnx", "summarization"): Recipe(
        graphs=onnx.seq2seq_graphs, verify=verify_seq2seq, weights_file="encoder_model.onnx_data"
    ),
    ("onnx", "text-generation"): Recipe(
        graphs=onnx.causal_graphs, verify=verify_causal, weights_file="model.onnx_data"
    ),
    ("onnx", "feature-extraction"): Recipe(
        graphs=lambda pegasus: features.feature_graphs(pegasus, standard.attend_padded),
        verify=verify_features,
        weights_file="model.onnx_data",
    ),
}


def resolve_task(architecture: str, task: str | None) -> Task:
    """The task asked for, or the one that the architecture is made for.

    Raises: UnsupportedError.
    """
    offered = TASKS[architecture]
    if task is None:
        return offered[0]
    for each in offered:
        if each == task:
            return each
    raise UnsupportedError(
        f"task {task!r} is not what a {architecture} does: use --task {' or '.join(offered)}"
    )


def find_recipe(target: Target, task: Task) -> Recipe:
    """The entry of the table; there is one for every target that `check_available` passes."""
    return _RECIPES[target, task]
