"""pegasus-export, as a shell starts it, and as a program does that was given a name."""

from pegasus_runtime.command_line.script import run_script

__all__ = ["export", "export_by_name"]


def export() -> int:
    """Runs pegasus-export."""
    return run_script("pegasus-export", "pegasus_export.command.main")


def export_by_name() -> int:
    """Runs the export that a request on standard input asks for."""
    return run_script("pegasus-export", "pegasus_export.command.by_name")
