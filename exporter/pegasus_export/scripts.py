"""pegasus-export, as a shell starts it."""

from pegasus_runtime.command_line.script import run_script

__all__ = ["export"]


def export() -> int:
    """Runs pegasus-export."""
    return run_script("pegasus-export", "pegasus_export.command.main")
