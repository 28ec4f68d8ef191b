"""Whether there is anything to choose from."""

import numpy as np

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.processors import Scores

__all__ = ["check_possible"]


def check_possible(best_scores: Scores) -> None:
    """Checks the best score of each row. Raises: OptionsError."""
    if np.isneginf(best_scores).any():
        raise OptionsError("no token may follow a row under these options: ban fewer tokens")
