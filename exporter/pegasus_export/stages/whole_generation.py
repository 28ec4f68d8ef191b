"""A bundle with one more graph, which generates on its own."""

import dataclasses
from collections.abc import Mapping

import onnx_ir as ir

from pegasus_export.errors import UnsupportedError
from pegasus_export.generation.compose import GENERATE, compose_generation
from pegasus_export.generation.fixed import FixedSettings, fixed_settings
from pegasus_export.generation.parts import CONTRIB, STOCK, generation_parts
from pegasus_export.generation.single_file import take_weights_in
from pegasus_export.graphs.definition import GraphDefinition
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.stages.bundle_kinds import BundleKind
from pegasus_export.stages.defaults import resolve_defaults
from pegasus_export.verify.generation import verify_generation
from pegasus_export.verify.measure import Measured
from pegasus_export.verify.reference import Reference
from pegasus_runtime.bundle import Bundle, Limits, Target, Task, TokenIds

__all__ = ["check_generate", "settle_generation", "with_generation"]


def check_generate(target: Target, task: Task, precision: str) -> None:
    """Raises: UnsupportedError for a bundle that can have no such graph."""
    if task != "summarization":
        raise UnsupportedError(f"--generate is for summarization, not for {task}: leave it out")
    if target not in ("onnx", "ort"):
        raise UnsupportedError(
            f"--generate is for ONNX Runtime and other runtimes of ONNX, not for {target}: use "
            "--target onnx, or --target ort for the operators of ONNX Runtime"
        )
    if precision == "fp16":
        raise UnsupportedError(
            "--generate is for fp32 and int8 (and int4 of target ort), not for fp16: use "
            "--precision fp32"
        )


def settle_generation(
    defaults: Mapping[str, object], tokens: TokenIds, limits: Limits, vocab_size: int
) -> FixedSettings:
    """What the graph has of the checkpoint's settings for good.

    Raises: UnsupportedError; OptionsError for settings that cannot run.
    """
    settings = resolve_defaults(defaults, tokens, limits, vocab_size)
    return fixed_settings(
        settings,
        max_beams=limits.max_beams,
        max_length=limits.max_target_tokens,
        max_source_tokens=limits.max_source_tokens,
    )


def with_generation(
    kind: BundleKind, target: Target, fixed: FixedSettings, *, single_file: bool
) -> BundleKind:
    """The same kind with generate.onnx, in the operators that its target has.

    single_file: whether its weights are in it, besides those that the other graphs share.
    """
    spelling = CONTRIB if target == "ort" else STOCK

    def graphs(pegasus: Pegasus) -> list[GraphDefinition]:
        return [*kind.graphs(pegasus), *generation_parts(pegasus, spelling)]

    def verify(bundle: Bundle, reference: Reference) -> list[Measured]:
        measured = kind.verify(bundle, reference)
        return [*measured, verify_generation(bundle, reference, measured, fixed)]

    def compose(models: dict[str, ir.Model]) -> dict[str, ir.Model]:
        composed = kind.compose(compose_generation(models, fixed))
        if single_file:
            take_weights_in(composed[GENERATE])
        return composed

    return dataclasses.replace(kind, graphs=graphs, verify=verify, compose=compose)
