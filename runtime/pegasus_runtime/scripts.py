"""The commands of the runtime, as a shell starts them."""

from pegasus_runtime.command_line.script import run_script

__all__ = ["answer", "classify", "features", "generate", "summarize"]


def summarize() -> int:
    """Runs pegasus-summarize."""
    return run_script("pegasus-summarize", "pegasus_runtime.commands.summarize")


def classify() -> int:
    """Runs pegasus-classify."""
    return run_script("pegasus-classify", "pegasus_runtime.commands.classify")


def answer() -> int:
    """Runs pegasus-answer."""
    return run_script("pegasus-answer", "pegasus_runtime.commands.answer")


def features() -> int:
    """Runs pegasus-features."""
    return run_script("pegasus-features", "pegasus_runtime.commands.features")


def generate() -> int:
    """Runs pegasus-generate."""
    return run_script("pegasus-generate", "pegasus_runtime.commands.generate")
