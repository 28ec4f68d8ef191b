"""What the comparisons with Optimum and with transformers 4.57 share."""

from e2e.optimum_process import ask_optimum

__all__ = ["ask_optimum"]
