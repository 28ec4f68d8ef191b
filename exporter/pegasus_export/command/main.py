"""pegasus-export: a checkpoint of the PEGASUS family to a bundle."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pegasus_engines.command.report import print_differences
from pegasus_engines.targets import UnavailableError, check_available
from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.command.cache import clear_cache, list_cache
from pegasus_export.command.options import COMMAND, make_parser
from pegasus_export.command.plan_options import read_plan_request
from pegasus_export.command.push import check_push, push_bundle
from pegasus_export.command.report import print_tables, summarize_result, write_report
from pegasus_export.errors import ExportError, OutputError, UnsupportedError, VerificationError
from pegasus_export.measure.documents import read_calibration
from pegasus_export.request.export import ExportRequest
from pegasus_export.stages.defaults import settle_defaults
from pegasus_export.triton.repository import (
    check_repository,
    check_servable,
    write_repository,
)
from pegasus_runtime.bundle import PLAN_TARGETS
from pegasus_runtime.command_line.exit_codes import EXIT_INPUT
from pegasus_runtime.command_line.messages import note
from pegasus_runtime.command_line.process import CompleteOutput, run_command
from pegasus_runtime.command_line.script import run_script
from pegasus_runtime.command_line.signals import UnwindOnSignals, state
from pegasus_runtime.command_line.streams import write_result
from pegasus_runtime.errors import PegasusError

if TYPE_CHECKING:
    from pegasus_engines.inspect.compare import OutputDifference
    from pegasus_engines.plans.bundle import Check
    from pegasus_export.stages.export import ExportResult

__all__ = ["main"]

EXIT_VERIFICATION = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(COMMAND, lambda: _main(argv), exit_code=_exit_code, failed=EXIT_INPUT)


def _exit_code(error: Exception) -> int | None:
    if isinstance(error, VerificationError):
        return EXIT_VERIFICATION
    return EXIT_INPUT if isinstance(error, ExportError | PegasusError) else None


def _main(argv: Sequence[str] | None) -> int:
    state.says = "interrupted: nothing was written"
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if arguments.list_cache or arguments.clear_cache is not None:
        others = (arguments.model, arguments.build, arguments.push, arguments.triton)
        if any(given is not None for given in others):
            parser.error("--list-cache and --clear-cache do nothing else: leave out the rest")
        return _manage_cache(arguments)
    hands_on = (arguments.push, arguments.triton) != (None, None)  # a bundle that is there
    is_there = hands_on and arguments.model is None and arguments.build is None
    if [arguments.model is None, arguments.build is None, not is_there].count(False) != 1:
        parser.error("expected one of --model and --build")
    if arguments.build is None and arguments.output is None:
        parser.error("the following arguments are required: --output")
    if arguments.push is not None:
        check_push(arguments.push)
    try:
        if is_there:
            return _hand_on(arguments)
        return _run(arguments) if arguments.build is None else _build(arguments)
    except ModuleNotFoundError as err:
        raise UnsupportedError(
            f"{err.name} is not installed: pip install 'pegasus-edge[export]'"
        ) from err


def _run(arguments: argparse.Namespace) -> int:
    request = _request(arguments)
    _check_early(request, arguments.triton)
    if not (arguments.quiet or arguments.json):
        import rich  # noqa: F401  (if it is missing, that is known before the work and not after)

    from pegasus_export.request.progress import choose_progress
    from pegasus_export.stages.export import export_bundle

    progress = choose_progress(quiet=arguments.quiet or arguments.json)
    differences: dict[str, tuple[OutputDifference, ...]] = {}
    with UnwindOnSignals():
        result = export_bundle(
            request, progress, check=_comparison(differences) if arguments.compare else None
        )
    try:
        with CompleteOutput(COMMAND, arguments.output):
            if arguments.json:
                write_result(f"{json.dumps(summarize_result(result), indent=2)}\n")
            elif not arguments.quiet:
                print_tables(result, arguments.output)
            print_differences(differences)
            _hand_on(arguments)
    finally:
        if arguments.report is not None:
            write_report(result, arguments.report)
        if not arguments.quiet:
            _warn_of_positions(result)
    return 0


def _hand_on(arguments: argparse.Namespace) -> int:
    """The bundle at --output, to where else it is to be."""
    if arguments.triton is not None:
        with UnwindOnSignals():
            place = write_repository(arguments.output, arguments.triton, force=arguments.force)
        if not arguments.quiet:
            note(COMMAND, f"{arguments.output}: a model for Triton is at {place}")
    if arguments.push is not None:
        url = push_bundle(arguments.output, arguments.push, private=arguments.private)
        note(COMMAND, f"{arguments.output}: uploaded to {url}")
    return 0


def _manage_cache(arguments: argparse.Namespace) -> int:
    if arguments.clear_cache is not None:
        clear_cache(arguments.clear_cache)
    if arguments.list_cache:
        list_cache(as_json=arguments.json)
    return 0


def _warn_of_positions(result: "ExportResult") -> None:
    """Where sources may be longer than any that the model has seen."""
    manifest = result.bundle.manifest
    tokens, positions = (
        manifest.limits.max_source_tokens,
        manifest.architecture.max_position_embeddings,
    )
    if positions is not None and tokens > positions:
        note(
            COMMAND,
            f"warning: the bundle takes {tokens} tokens, the model was made for {positions} and "
            "has never seen a position after that: summaries of longer documents may be made up",
        )


def _build(arguments: argparse.Namespace) -> int:
    """Plans of a bundle of graphs, as pegasus-build makes them."""
    from pegasus_engines.command.build import run_build
    from pegasus_export.request.progress import choose_progress

    progress = choose_progress(quiet=arguments.quiet or arguments.json)
    run_build(COMMAND, arguments.build, arguments, progress)
    return _hand_on(arguments)


def _comparison(found: "dict[str, tuple[OutputDifference, ...]]") -> "Check":
    from pegasus_engines.inspect.bundle import compare_plans

    return lambda bundle, plans: found.update(compare_plans(bundle, plans))


def _request(arguments: argparse.Namespace) -> ExportRequest:
    """Raises: UnsupportedError."""
    return ExportRequest(
        model=arguments.model,
        adapter=_one_adapter(arguments.adapter),
        output=arguments.output,
        target=arguments.target,
        precision=arguments.precision,
        task=arguments.task,
        task_params=arguments.task_params,
        max_source_tokens=arguments.max_source_tokens,
        random_blocks=arguments.random_blocks,
        block_sparse=arguments.block_sparse,
        keep_fp32=tuple(arguments.keep_fp32),
        calibration=arguments.calibration,
        max_rouge_drop=arguments.max_rouge_drop,
        generate=arguments.generate,
        text=arguments.text,
        single_file=arguments.single_file,
        layout=arguments.layout,
        plans=read_plan_request(arguments),
        revision=arguments.revision,
        force=arguments.force,
    )


def _one_adapter(adapters: Sequence[str]) -> str | None:
    if len(adapters) > 1:
        raise UnsupportedError(
            f"--adapter is given {len(adapters)} times, expected once: merge the others with "
            "peft's merge_and_unload first"
        )
    return adapters[0] if adapters else None


def _check_early(request: ExportRequest, triton: Path | None) -> None:
    """Finds what is wrong before torch is imported, which takes seconds; export checks the rest.

    Raises: ExportError.
    """
    try:
        check_available(request.target, request.precision)
    except UnavailableError as err:
        raise UnsupportedError(str(err)) from err
    if request.output.is_dir() and not request.force:
        raise OutputError(f"output folder exists: {request.output}: choose another or pass --force")
    has_plans = request.target not in PLAN_TARGETS or not request.plans.onnx_only
    if triton is not None:
        check_servable(target=request.target, task=request.task, has_plans=has_plans)
        check_repository(triton, request.output, force=request.force)
    if request.calibration is not None:
        read_calibration(request.calibration)
    model = os.path.expanduser(request.model)
    if model.startswith((".", os.sep)) or os.path.exists(model):  # what may be a hub id, later
        checkpoint = open_checkpoint(
            request.model, revision=request.revision, adapter=request.adapter
        )
        tasks = ARCHITECTURES[checkpoint.architecture].tasks
        task = next((each for each in tasks if each == request.task), tasks[0])
        settle_defaults(checkpoint, task, task_params=request.task_params)
        if triton is not None:
            check_servable(target=request.target, task=task, has_plans=has_plans)


if __name__ == "__main__":
    sys.exit(run_script(COMMAND, "pegasus_export.command.main"))
