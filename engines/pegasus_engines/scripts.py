"""pegasus-build, as a shell starts it."""

from pegasus_runtime.command_line.script import run_script

__all__ = ["build"]


def build() -> int:
    """Runs pegasus-build."""
    return run_script("pegasus-build", "pegasus_engines.command.build")
