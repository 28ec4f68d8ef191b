"""The command line of pegasus-export."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from pegasus_engines.targets import PRECISIONS, TARGETS
from pegasus_export.command.cache import ALL
from pegasus_export.command.plan_options import PLAN_TARGETS_HELP, add_plan_options
from pegasus_export.request.export import LAYOUTS
from pegasus_runtime.bundle import Task
from pegasus_runtime.command_line.parser import ArgumentParser

__all__ = ["COMMAND", "make_parser"]

COMMAND = "pegasus-export"
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
          ORTModelForSeq2SeqLM, and for runtimes of your own (contract.md);
          with --layout transformers-js for pipelines in Node and browsers
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
those of the same names with BigBirdPegasus, which also has
  text-classification  BigBirdPegasusForSequenceClassification
  question-answering   BigBirdPegasusForQuestionAnswering
and PegasusXForConditionalGeneration and PegasusXModel, as PEGASUS's

{plans}
examples:
  pegasus-export --model google/pegasus-xsum --output xsum
  pegasus-summarize xsum article.txt
  pegasus-export --model google/pegasus-xsum --adapter ./my-lora --output tuned
  pegasus-export --model ./my-checkpoint --output my-onnx --target onnx
  pegasus-export --model ./my-checkpoint --output app --target onnx --generate
  pegasus-export --model google/pegasus-xsum --output in-js --target onnx \\
      --layout transformers-js
  pegasus-export --push me/xsum-int8 --output xsum-int8
  pegasus-export --triton models --output xsum
  pegasus-export --list-cache

exit codes:
  0    the bundle is there, and agrees with the checkpoint
  1    the bundle did not agree with the checkpoint, and is not there
  2    the request, the checkpoint or the output folder is unusable; or the
       bundle is there, and standard output does not take what is said of it
  130  interrupted (143: terminated)
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser, with the help that it prints."""
    parser = ArgumentParser(
        prog=COMMAND,
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
    _add_client_options(parser)
    _add_precision_options(parser)
    add_plan_options(parser)
    add("--force", action="store_true", help="replace the bundle at --output")
    _add_hub_options(parser)
    add("--json", action="store_true", help="print the result as JSON, and no progress")
    add("--quiet", action="store_true", help="print errors only")
    return parser


def _add_hub_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("options of hub, cache and servers").add_argument
    add(
        "--push",
        metavar="REPO",
        help="upload the bundle at --output, or that which --model makes there, to this repository "
        "of the Hugging Face hub, with a card: others load it by that name",
    )
    add("--private", action="store_true", help="if --push makes the repository, for you alone")
    add(
        "--triton",
        type=Path,
        metavar="DIR",
        help="write the bundle at --output, or that which --model makes there, into this model "
        "repository of NVIDIA Triton, too, under its own name, linked where the disk is the same: "
        "configuration, Python backend and README.md (docs/triton.md)",
    )
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


def _add_client_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("options for hosts other than pegasus_runtime").add_argument
    add(
        "--layout",
        metavar=_one_of(LAYOUTS),
        help="of target onnx: files as Optimum looks for them (the default), or as transformers.js "
        "does: in onnx/, int8 beside fp32 (summarization)",
    )
    add(
        "--generate",
        action="store_true",
        help="of targets onnx and ort: add generate.onnx, one graph that runs encoder, decoder and "
        "beam search, from token ids to token ids (docs/one-graph.md)",
    )
    add(
        "--text",
        action="store_true",
        help="add generate_text.onnx, too, from text to text, for hosts that have "
        "onnxruntime-extensions",
    )
    add(
        "--single-file",
        action="store_true",
        help="put the weights of generate.onnx into it, which browsers like; up to 2 GB",
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
