"""Which kinds of bundles there are: what graphs a task has in each target, and what checks them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import onnx_ir as ir

from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.dialects import ort as ort_dialect
from pegasus_export.dialects import standard
from pegasus_export.dialects.block_sparse_nodes import STANDARD
from pegasus_export.dialects.ort_block_sparse import ORT
from pegasus_export.errors import UnsupportedError
from pegasus_export.graphs import onnx, ort, trt
from pegasus_export.graphs.definition import Compose, GraphDefinition, SparseAttention
from pegasus_export.graphs.features import feature_graphs
from pegasus_export.graphs.heads import classifier_graphs, question_graphs
from pegasus_export.graphs.sparse_attention import sparse_attention
from pegasus_export.graphs.whole import AttendPadded
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.passes.merge_decoders import merge_decoders
from pegasus_export.verify.device import verify_device
from pegasus_export.verify.measure import Measured
from pegasus_export.verify.onnx import (
    verify_causal,
    verify_features,
    verify_head,
    verify_seq2seq,
)
from pegasus_export.verify.ort import verify_ort
from pegasus_export.verify.reference import Reference
from pegasus_runtime.bundle import PLAN_TARGETS, Bundle, Target, Task

__all__ = ["QUANTIZED", "BundleKind", "find_kind", "is_on_device", "resolve_task"]

QUANTIZED = "_quantized"
"""Ends the names of int8 files for other people's runtimes: Optimum's and transformers.js'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleKind:
    """How one task is exported to one target."""

    graphs: Callable[[Pegasus], list[GraphDefinition]]
    verify: Callable[[Bundle, Reference], list[Measured]]
    weights_file: str
    compose: Compose = dict
    """Adds graphs that are made of others, once those are converted."""
    on_device: bool = False
    """Whether `DeviceEngine` runs it: graphs of fixed sizes, which TensorRT can build."""
    suffix: str = ""
    """Of its graphs' files, before .onnx."""


def _with_merged(models: dict[str, ir.Model]) -> dict[str, ir.Model]:
    merged = merge_decoders(models["decoder_model"], models["decoder_with_past_model"])
    return {**models, "decoder_model_merged": merged}


_WholeGraphs = Callable[[Pegasus, AttendPadded, SparseAttention | None], list[GraphDefinition]]


def _in_ort(graphs: _WholeGraphs) -> Callable[[Pegasus], list[GraphDefinition]]:
    padded = ort_dialect.attend_padded
    return lambda pegasus: graphs(pegasus, padded, sparse_attention(pegasus, ORT))


def _in_standard(graphs: _WholeGraphs) -> Callable[[Pegasus], list[GraphDefinition]]:
    padded = standard.attend_padded
    return lambda pegasus: graphs(pegasus, padded, sparse_attention(pegasus, STANDARD))


_KINDS: Mapping[tuple[Target, Task], BundleKind] = {
    ("ort", "summarization"): BundleKind(
        graphs=ort.seq2seq_graphs, verify=verify_ort, weights_file="weights.bin"
    ),
    ("ort", "text-generation"): BundleKind(
        graphs=ort.causal_graphs, verify=verify_ort, weights_file="weights.bin"
    ),
    ("ort", "feature-extraction"): BundleKind(
        graphs=_in_ort(feature_graphs), verify=verify_features, weights_file="weights.bin"
    ),
    ("ort", "text-classification"): BundleKind(
        graphs=_in_ort(classifier_graphs), verify=verify_head, weights_file="weights.bin"
    ),
    ("ort", "question-answering"): BundleKind(
        graphs=_in_ort(question_graphs), verify=verify_head, weights_file="weights.bin"
    ),
    # Optimum downloads X.onnx and X.onnx_data from a hub, and nothing else
    ("onnx", "summarization"): BundleKind(
        graphs=onnx.seq2seq_graphs,
        verify=verify_seq2seq,
        weights_file="encoder_model.onnx_data",
        compose=_with_merged,
    ),
    ("onnx", "text-generation"): BundleKind(
        graphs=onnx.causal_graphs, verify=verify_causal, weights_file="model.onnx_data"
    ),
    ("onnx", "feature-extraction"): BundleKind(
        graphs=_in_standard(feature_graphs), verify=verify_features, weights_file="model.onnx_data"
    ),
    ("onnx", "text-classification"): BundleKind(
        graphs=_in_standard(classifier_graphs),
        verify=verify_head,
        weights_file="model.onnx_data",
    ),
    ("onnx", "question-answering"): BundleKind(
        graphs=_in_standard(question_graphs),
        verify=verify_head,
        weights_file="model.onnx_data",
    ),
}


def resolve_task(architecture: str, task: str | None) -> Task:
    """The task asked for, or the one that the architecture is made for.

    Raises: UnsupportedError.
    """
    offered = ARCHITECTURES[architecture].tasks
    if task is None:
        return offered[0]
    for each in offered:
        if each == task:
            return each
    raise UnsupportedError(
        f"task {task!r} is not what a {architecture} does: use --task {' or '.join(offered)}"
    )


def find_kind(
    target: Target, task: Task, precision: str, *, num_beams: int, with_plugin: bool = False
) -> BundleKind:
    """The entry of the table, or the one kind of all that runs on a device.

    num_beams: of a step of the latter; with_plugin: for its sparse attention.
    Raises: UnsupportedError.
    """
    if is_on_device(target, precision):
        if task != "summarization":
            raise UnsupportedError(
                f"target {target} at {precision} is for summarization, not for {task}: "
                "use --target onnx, or --target ort in fp32, int8 or int4"
            )
        return BundleKind(
            graphs=partial(trt.seq2seq_graphs, num_beams=num_beams, with_plugin=with_plugin),
            verify=verify_device,
            weights_file="weights.bin",
            on_device=True,
        )
    kind = _KINDS[target, task]
    if (target, precision) == ("onnx", "int8"):
        name = kind.weights_file.replace(".onnx_data", f"{QUANTIZED}.onnx_data")
        return replace(kind, suffix=QUANTIZED, weights_file=name)
    return kind


def is_on_device(target: Target, precision: str) -> bool:
    """Whether `DeviceEngine` runs bundles of this kind."""
    return target in PLAN_TARGETS or (target, precision) == ("ort", "fp16")
