"""Warnings of the packages, while a command runs."""

import logging
import sys
from pathlib import Path

import pytest

from pegasus_runtime.command_line.warnings_told import tell_warnings


def test_a_warning_is_a_line_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("pegasus_runtime.sessions.cuda.graph")
    with tell_warnings("pegasus-summarize"):
        logger.warning("runs on the CPU:\n%s", "no GPU")
        logger.info("not told")
        logging.getLogger("other").info("neither is this")
    assert capsys.readouterr().err == "pegasus-summarize: warning: runs on the CPU: no GPU\n"
    with tell_warnings("pegasus-classify"):
        logger.warning("again")
    assert capsys.readouterr().err == "pegasus-classify: warning: again\n"


def test_a_warning_that_cannot_be_told_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the library that logs it may be one in C++."""
    closed = (tmp_path / "err").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    with tell_warnings("pegasus-answer"):
        logging.getLogger("pegasus_runtime").warning("no GPU")
