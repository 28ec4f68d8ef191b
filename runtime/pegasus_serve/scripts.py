"""The command, as a shell starts it."""

from pegasus_runtime.command_line.script import run_script

__all__ = ["serve"]


def serve() -> int:
    """Runs pegasus-serve."""
    return run_script("pegasus-serve", "pegasus_serve.process.command")
