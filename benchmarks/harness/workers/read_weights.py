"""Reads one file of weights as an export does, and every number of it once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

from pegasus_export.checkpoint.formats.read import read_weight_file
from pegasus_export.checkpoint.weight_files import WeightsFormat


def main() -> None:
    path, kind = sys.argv[1:]
    tensors = read_weight_file(Path(path), cast(WeightsFormat, kind))
    print(sum(float(tensor.sum()) for tensor in tensors.values()))


if __name__ == "__main__":
    main()
