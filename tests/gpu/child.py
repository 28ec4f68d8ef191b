"""python -m gpu.child PART SETTING OUTCOME: one part, in a process that nothing else depends on."""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from gpu.setting import Outcome, SkippedError, read_setting
from gpu.stand_ins import bring_stand_ins

__all__ = ["main"]


def main(name: str, setting_file: Path, outcome_file: Path) -> None:
    """Writes what came of the part."""
    from gpu.parts import find_part

    setting, outcome = read_setting(setting_file), Outcome(part=name)
    bring_stand_ins(setting)
    try:
        outcome.figures = find_part(name, setting).run(setting)
    except SkippedError as err:
        outcome.verdict, outcome.said = "skipped", str(err)
    except Exception as err:  # whatever it is, the other parts go on
        traceback.print_exc()
        outcome.verdict = "WRONG"
        outcome.said = f"{type(err).__name__}: {' '.join(str(err).split())}"
    outcome_file.write_text(json.dumps(asdict(outcome)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
