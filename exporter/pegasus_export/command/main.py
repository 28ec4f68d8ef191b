"""pegasus-export: a PEGASUS or BigBirdPegasus checkpoint to a bundle."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pegasus_engines.command.report import print_differences
from pegasus_engines.targets import PRECISIONS, TARGETS, UnavailableError, check_available
from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.command.cache import ALL, clear_cache, list_cache
from pegasus_export.command.plan_options import (
    PLAN_TARGETS_HELP,
    add_plan_options,
    read_plan_request,
)
from pegasus_export.command.push import check_push, push_bundle
from pegasus_export.command.report import print_tables, summarize_result, write_report
from pegasus_export.errors import ExportError, OutputError, UnsupportedError, VerificationError
from pegasus_export.measure.documents import read_calibration
from pegasus_export.request.export import ExportRequest
from pegasus_export.stages.defaults import settle_defaults
from pegasus_runtime.bundle import Task
from pegasus_runtime.command_line.exit_codes import EXIT_INPUT
from pegasus_runtime.command_line.messages import note
from pegasus_runtime.command_line.parser import ArgumentParser
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

_COMMAND = "pegasus-export"
_DESCRIPTION = """\
Export a PEGASUS checkpoint to a bundle: a folder with ONNX graphs, weights,
tokenizer and a manifest, which runs without PyTorch.

The bundle is checked against the checkpoint before it appears at --output. If
the check fails, or anything else does, nothing is left behind.
"""
_EPILOG = """\
targets:
  ort     for ONNX Runtime, through pegasus-summarize or pegasus_runtime
  onnx    standard operators under Optimum's file names: for
          ORTModelForSeq2SeqLM, and for runtimes of your own
  trt     TensorRT 10 and 11: servers and Jetson (summarization)
  trt-rtx TensorRT for RTX: desktops (summarization)

precisions, and what they cost a model of 2.3 GB (pegasus-xsum):
  fp32    the checkpoint's tokens exactly; 2.3 GB
  fp16    half the size, for GPUs. Exact where others overflow: the residual
          stream is scaled by a power of two, which changes no digit
  int8    8-bit weights and activations; 0.6 GB, twice as fast. Each token has
          a scale of its own: a summary does not depend on what is in its batch
  int4    4-bit weights, rounded by what they read of --calibration documents;
          8-bit embedding and activations; 0.4 GB, the least memory, not the
          fastest, and the least faithful
  int8, int4 for trt and trt-rtx: weights of the linear layers, the rest fp16
          (0.7 and 0.5 GB); trt int8 has 8-bit activations too, whose ranges
          come from --calibration
  What a precision changed in summaries is measured and printed.

checkpoints, the first of a folder that is there:
  model.safetensors, pytorch_model.bin (whole, in shards, or one variant such as
  model.fp16.safetensors), flax_model.msgpack, tf_model.h5, model.ckpt-* of TF1;
  a LoRA adapter on its base; not quantised ones. See docs/checkpoints.md

tasks, and the architectures that can do them:
  summarization        PegasusForConditionalGeneration
  feature-extraction   PegasusModel, PegasusForConditionalGeneration
  text-generation      PegasusForCausalLM
and those of the same names with BigBirdPegasus, which also has
  text-classification  BigBirdPegasusForSequenceClassification
  question-answering   BigBirdPegasusForQuestionAnswering

{plans}
examples:
  pegasus-export --model google/pegasus-xsum --output xsum
  pegasus-summarize xsum article.txt
  pegasus-export --model google/pegasus-xsum --adapter ./my-lora --output tuned
  pegasus-export --model ./my-checkpoint --output my-onnx --target onnx
  pegasus-export --push me/xsum-int8 --output xsum-int8
  pegasus-export --list-cache

exit codes:
  0    the bundle is there, and agrees with the checkpoint
  1    the bundle did not agree with the checkpoint, and is not there
  2    the request, the checkpoint or the output folder is unusable; or the
       bundle is there, and standard output does not take what is said of it
  130  interrupted (143: terminated)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(_COMMAND, lambda: _main(argv), exit_code=_exit_code, failed=EXIT_INPUT)


def _exit_code(error: Exception) -> int | None:
    if isinstance(error, VerificationError):
        return EXIT_VERIFICATION
    return EXIT_INPUT if isinstance(error, ExportError | PegasusError) else None


def _main(argv: Sequence[str] | None) -> int:
    state.says = "interrupted: nothing was written"
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.list_cache or arguments.clear_cache is not None:
        return _manage_cache(arguments)
    is_push = arguments.push is not None and arguments.model is None
    if [arguments.model is None, arguments.build is None, not is_push].count(False) != 1:
        parser.error("expected one of --model and --build")
    if arguments.build is None and arguments.output is None:
        parser.error("the following arguments are required: --output")
    if arguments.push is not None:
        check_push(arguments.push)
    try:
        if is_push:
            return _push(arguments)
        return _run(arguments) if arguments.build is None else _build(arguments)
    except ModuleNotFoundError as err:
        raise UnsupportedError(
            f"{err.name} is not installed: pip install 'pegasus-edge[export]'"
        ) from err


def _run(arguments: argparse.Namespace) -> int:
    request = _request(arguments)
    _check_early(request)
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
        with CompleteOutput(_COMMAND, arguments.output):
            if arguments.json:
                write_result(f"{json.dumps(summarize_result(result), indent=2)}\n")
            elif not arguments.quiet:
                print_tables(result, arguments.output)
            print_differences(differences)
            if arguments.push is not None:
                _push(arguments)
    finally:
        if arguments.report is not None:
            write_report(result, arguments.report)
        if not arguments.quiet:
            _warn_of_positions(result)
    return 0


def _push(arguments: argparse.Namespace) -> int:
    url = push_bundle(arguments.output, arguments.push, private=arguments.private)
    note(_COMMAND, f"{arguments.output}: uploaded to {url}")
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
            _COMMAND,
            f"warning: the bundle takes {tokens} tokens, the model was made for {positions} and "
            "has never seen a position after that: summaries of longer documents may be made up",
        )


def _build(arguments: argparse.Namespace) -> int:
    """Plans of a bundle of graphs, as pegasus-build makes them."""
    from pegasus_engines.command.build import run_build
    from pegasus_export.request.progress import choose_progress

    progress = choose_progress(quiet=arguments.quiet or arguments.json)
    run_build(_COMMAND, arguments.build, arguments, progress)
    return 0


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


def _check_early(request: ExportRequest) -> None:
    """Finds what is wrong before torch is imported, which takes seconds; export checks the rest.

    Raises: ExportError.
    """
    try:
        check_available(request.target, request.precision)
    except UnavailableError as err:
        raise UnsupportedError(str(err)) from err
    if request.output.is_dir() and not request.force:
        raise OutputError(f"output folder exists: {request.output}: choose another or pass --force")
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


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog=_COMMAND,
        usage="%(prog)s --model PATH_OR_HUB_ID --output DIR [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG.replace("{plans}", PLAN_TARGETS_HELP),
    )
    add = parser.add_argument
    _add_model_options(parser)
    add("--output", type=Path, metavar="DIR", help="folder of the new bundle")
    add(
        "--target",
        default="ort",
        metavar=_one_of(TARGETS),
        help="what the bundle is for, see below (default: ort)",
    )
    add(
        "--precision",
        default="fp32",
        metavar=_one_of(PRECISIONS),
        help="what its numbers are, see below (default: fp32)",
    )
    add(
        "--task",
        choices=get_args(Task),
        metavar="TASK",
        help="what it does, see below (default: what the architecture in config.json is made for)",
    )
    add(
        "--task-params",
        metavar="NAME",
        help="take the generation settings of this task in task_specific_params of config.json, "
        "such as summarization_cnn_dailymail of google/pegasus-large (default: the checkpoint's "
        "own settings alone; an unknown NAME lists those that there are)",
    )
    add(
        "--max-source-tokens",
        type=_source_tokens,
        metavar="N",
        help="longest source, EOS included (default: the checkpoint's positions); more than "
        "those is possible where they are sinusoids, but the model was not trained on it",
    )
    add(
        "--random-blocks",
        default="hf-eval",
        metavar="{hf-eval,seeded}",
        help="of BigBirdPegasus' sparse attention: those that transformers takes in inference "
        "(hf-eval, the default), or the fixed plan that the model was trained with (seeded)",
    )
    _add_precision_options(parser)
    add_plan_options(parser)
    add("--force", action="store_true", help="replace the bundle at --output")
    _add_hub_options(parser)
    add("--json", action="store_true", help="print the result as JSON, and no progress")
    add("--quiet", action="store_true", help="print errors only")
    return parser


def _add_hub_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("options of hub and cache").add_argument
    add(
        "--push",
        metavar="REPO",
        help="upload the bundle at --output, or that which --model makes there, to this repository "
        "of the Hugging Face hub, with a card: others load it by that name",
    )
    add("--private", action="store_true", help="if --push makes the repository, for you alone")
    add(
        "--list-cache",
        action="store_true",
        help="list the bundles that were loaded by name, with their sizes and folders",
    )
    add(
        "--clear-cache",
        nargs="?",
        const=ALL,
        metavar="NAME",
        help="delete those of this name, or all",
    )


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", metavar="PATH_OR_HUB_ID", help="checkpoint folder or hub id")
    add("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    add(
        "--adapter",
        action="append",
        default=[],
        metavar="PATH_OR_HUB_ID",
        help="LoRA adapter of PEFT to merge onto --model; given as --model itself, it is merged "
        "onto the base that it names",
    )


def _add_precision_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("options of lower precisions").add_argument
    add(
        "--keep-fp32",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave the layers of this name in fp32, such as 'model.decoder.layers.0.*' or "
        "'*.fc2'; may be given several times",
    )
    add(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="documents to compare with fp32: text, one per line, or .jsonl with "
        '{"document": ..., "summary": ...} (default: two short texts)',
    )
    add(
        "--max-rouge-drop",
        type=float,
        metavar="POINTS",
        help="give the layers that suffer most more bits, until ROUGE-L on the calibration "
        "documents is at most this much below fp32's (0 to 100; against their summaries, or "
        "fp32's where they have none)",
    )
    add(
        "--report",
        type=Path,
        metavar="DIR",
        help="write report.json there, all that was measured, and layers.svg, a picture of what "
        "each layer loses by its format",
    )


def _one_of(names: Iterable[str]) -> str:
    """For the help, and for shells that complete; the request is checked as a whole."""
    return f"{{{','.join(names)}}}"


def _source_tokens(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 2:
        raise argparse.ArgumentTypeError(f"{text!r}, expected an integer of at least 2")
    return count


if __name__ == "__main__":
    sys.exit(run_script(_COMMAND, "pegasus_export.command.main"))
