"""What pegasus-export was asked for."""

from dataclasses import dataclass
from pathlib import Path

from pegasus_export.errors import UnsupportedError

__all__ = ["RANDOM_BLOCKS", "ExportRequest"]

RANDOM_BLOCKS = ("hf-eval", "seeded")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One export; each field is an option of the command."""

    model: str
    """Checkpoint folder or Hugging Face hub id."""
    output: Path
    target: str = "ort"
    precision: str = "fp32"
    task: str | None = None
    """None: the one that the checkpoint's architecture is made for."""
    max_source_tokens: int | None = None
    """None: the checkpoint's number of positions."""
    random_blocks: str = "hf-eval"
    """Which blocks BigBirdPegasus' sparse attention sees beside the regular ones: those that
    transformers takes in inference, or the fixed plan that the model was trained with (seeded)."""
    keep_fp32: tuple[str, ...] = ()
    """Patterns of layers that a lower precision leaves alone."""
    calibration: Path | None = None
    """Documents to compare a lower precision on; None: a few that come with the package."""
    max_rouge_drop: float | None = None
    """Points of ROUGE-L (0 to 100) that it may cost; layers return to fp32 until it holds."""
    revision: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Raises: UnsupportedError for options that say nothing about an fp32 bundle."""
        if self.random_blocks not in RANDOM_BLOCKS:
            raise UnsupportedError(
                f"--random-blocks is {self.random_blocks!r}, expected {' or '.join(RANDOM_BLOCKS)}"
            )
        given = {
            "--keep-fp32": bool(self.keep_fp32),
            "--calibration": self.calibration is not None,
            "--max-rouge-drop": self.max_rouge_drop is not None,
        }
        names = [name for name, is_given in given.items() if is_given]
        if self.precision == "fp32" and names:
            raise UnsupportedError(
                f"{names[0]} is for lower precisions, this bundle is fp32: leave it out, or ask "
                "for --precision int8"
            )
        if self.max_rouge_drop is not None and not self.max_rouge_drop >= 0:
            raise UnsupportedError(
                f"--max-rouge-drop is {self.max_rouge_drop:g}, expected points of ROUGE-L from 0 up"
            )
