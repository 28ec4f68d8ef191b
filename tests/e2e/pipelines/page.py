"""The page "coming from transformers": its blocks, and how they are run where there is no GPU."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["THEIRS_ON_A_CPU", "blocks_under", "printed"]

PAGE = Path(__file__).parents[3] / "docs" / "coming-from-transformers.md"
THEIRS_ON_A_CPU = {
    "dtype=torch.float16": "dtype=torch.float32",
    "device=0": "device=-1",
    'device_map="auto"': 'dtype="float32"',  # the former needs accelerate
    "--device 0": "--device -1",
}


def blocks_under(heading: str) -> list[tuple[str, str]]:
    """(language, content) of every block under a heading; `py` and `bash` are theirs."""
    text = PAGE.read_text("utf-8")
    (section,) = re.findall(rf"^### {heading}$(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def printed(code: str, replaced: Mapping[str, str]) -> str:
    """What a block prints, with these words in the place of others."""
    for old, new in replaced.items():
        code = code.replace(old, new)
    out = io.StringIO()
    scope: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(out):
        exec(compile(code, "example", "exec"), scope)
    return out.getvalue()
