"""What pegasus-export was asked for."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from pegasus_engines.plans.build import BuildRequest
from pegasus_export.errors import UnsupportedError
from pegasus_runtime.bundle import PLAN_TARGETS
from pegasus_runtime.spelling import did_you_mean

__all__ = [
    "BLOCK_SPARSE",
    "LAYOUTS",
    "MAX_SOURCE_TOKENS",
    "RANDOM_BLOCKS",
    "TRANSFORMERS_JS",
    "ExportRequest",
    "PlanRequest",
]

MAX_SOURCE_TOKENS = 2**17
"""Sixteen times as many as any checkpoint has positions for."""

RANDOM_BLOCKS = ("hf-eval", "seeded")
BLOCK_SPARSE = ("plugin", "plain")
TRANSFORMERS_JS = "transformers-js"
LAYOUTS = ("optimum", TRANSFORMERS_JS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What TensorRT's plans are built for, and how; None leaves it to the checkpoint."""

    num_beams: int | None = None
    """Beams of every step (default: the checkpoint's)."""
    max_target_tokens: int | None = None
    """Longest summary, start token included (default: the checkpoint's max_length)."""
    max_batch: int = 1
    """Documents decoded together."""
    onnx_only: bool = False
    """Whether the plans are to be built elsewhere, by pegasus-build."""
    build: BuildRequest = field(default_factory=BuildRequest)
    """Its compute capabilities are, with onnx_only for trt, those that the kernels of a plugin are
    compiled for; None is all that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One export; each field is an option of the command."""

    model: str
    """Checkpoint folder or Hugging Face hub id."""
    adapter: str | None = None
    """Folder or hub id of a LoRA adapter to merge onto it."""
    output: Path
    target: str = "ort"
    precision: str = "fp32"
    task: str | None = None
    """None: the one that the checkpoint's architecture is made for."""
    task_params: str | None = None
    """The task in task_specific_params of config.json whose generation settings it takes."""
    max_source_tokens: int | None = None
    """None: the checkpoint's number of positions."""
    random_blocks: str = "hf-eval"
    """Which blocks BigBirdPegasus' sparse attention sees beside the regular ones: those that
    transformers takes in inference, or the fixed plan that the model was trained with (seeded)."""
    block_sparse: str | None = None
    """How plans compute BigBirdPegasus' sparse attention: in TensorRT's plugin, or in plain
    operators (plain). None: plugin for target trt, plain for trt-rtx, which takes no plugins."""
    keep_fp32: tuple[str, ...] = ()
    """Patterns of layers that a lower precision leaves alone."""
    calibration: Path | None = None
    """Documents to compare a lower precision on; None: a few that come with the package."""
    max_rouge_drop: float | None = None
    """Points of ROUGE-L (0 to 100) that it may cost; layers return to fp32 until it holds."""
    generate: bool = False
    """Whether there is a graph, besides the others, that generates on its own: generate.onnx."""
    text: bool = False
    """Whether there is one from text to text, too: generate_text.onnx."""
    single_file: bool = False
    """Whether that holds its weights itself, rather than sharing those of the others."""
    layout: str | None = None
    """Of target onnx, whose loader finds the files: Optimum's (the default), or that of
    transformers.js, where int8 files stand beside those in fp32."""
    plans: PlanRequest = PlanRequest()
    """For targets trt and trt-rtx."""
    revision: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Raises: UnsupportedError for values out of range, and for options without effect."""
        if self.random_blocks not in RANDOM_BLOCKS:
            raise UnsupportedError(
                f"--random-blocks is {self.random_blocks!r}, expected {' or '.join(RANDOM_BLOCKS)}"
                f"{did_you_mean(self.random_blocks, RANDOM_BLOCKS)}"
            )
        self._check_layout()
        self._check_generate()
        given = {
            "--keep-fp32": bool(self.keep_fp32),
            "--calibration": self.calibration is not None,
            "--max-rouge-drop": self.max_rouge_drop is not None,
        }
        names = [name for name, is_given in given.items() if is_given]
        if self.precision == "fp32" and self.layout != TRANSFORMERS_JS and names:
            raise UnsupportedError(
                f"{names[0]} is for lower precisions, this bundle is fp32: leave it out, or ask "
                "for --precision int8"
            )
        if self.plans != PlanRequest() and self.target not in PLAN_TARGETS:
            raise UnsupportedError(
                "--num-beams, --max-target-tokens, --max-batch and what concerns building are for "
                f"targets {' and '.join(PLAN_TARGETS)}, this one is {self.target}: leave them out"
            )
        self._check_block_sparse()
        if self.max_rouge_drop is not None and not 0 <= self.max_rouge_drop <= 100:
            raise UnsupportedError(
                f"--max-rouge-drop is {self.max_rouge_drop:g}, expected points of ROUGE-L, from 0 "
                "to 100"
            )
        tokens = self.max_source_tokens
        if tokens is not None and not 2 <= tokens <= MAX_SOURCE_TOKENS:
            raise UnsupportedError(
                f"--max-source-tokens is {tokens}, expected from 2 to {MAX_SOURCE_TOKENS}"
            )

        self._check_output()

    def _check_generate(self) -> None:
        for option, is_given in (("--text", self.text), ("--single-file", self.single_file)):
            if is_given and not self.generate:
                raise UnsupportedError(f"{option} is of the graph that generates: add --generate")
        if self.generate and self.layout == TRANSFORMERS_JS:
            raise UnsupportedError(
                "--generate is for hosts that call one graph, and transformers.js calls others: "
                "leave out --layout"
            )

    def _check_output(self) -> None:
        try:
            os.path.realpath(self.output).encode()
        except UnicodeEncodeError as err:
            raise UnsupportedError(
                f"--output {self.output} is not UTF-8, which the libraries that check a bundle "
                "need: choose another folder"
            ) from err

    def _check_layout(self) -> None:
        if self.layout is None:
            return
        if self.layout not in LAYOUTS:
            raise UnsupportedError(
                f"--layout is {self.layout!r}, expected {' or '.join(LAYOUTS)}"
                f"{did_you_mean(self.layout, LAYOUTS)}"
            )
        if self.target != "onnx":
            raise UnsupportedError(
                f"--layout is for target onnx, this one is {self.target}: leave it out, or use "
                "--target onnx"
            )

    def _check_block_sparse(self) -> None:
        if self.block_sparse is None:
            return
        if self.block_sparse not in BLOCK_SPARSE:
            raise UnsupportedError(
                f"--block-sparse is {self.block_sparse!r}, expected {' or '.join(BLOCK_SPARSE)}"
                f"{did_you_mean(self.block_sparse, BLOCK_SPARSE)}"
            )
        if self.target not in PLAN_TARGETS:
            raise UnsupportedError(
                f"--block-sparse is for targets {' and '.join(PLAN_TARGETS)}, this one is "
                f"{self.target}: leave it out"
            )
        if (self.target, self.block_sparse) == ("trt-rtx", "plugin"):
            raise UnsupportedError(
                "TensorRT for RTX takes no plugins: use --block-sparse plain, or --target trt"
            )
