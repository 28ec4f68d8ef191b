"""A command as a process of its own: signals and streams first, and only then what it imports."""

import sys

from pegasus_runtime.command_line.signals import answer_at_once, handle_signals, state

__all__ = ["run_script"]


def run_script(command: str, module: str) -> int:
    """Imports a module, which takes most of a second, and runs its `main`; the exit code."""
    state.ends_at_once = True
    handle_signals(command)
    from importlib import import_module

    from pegasus_runtime.command_line.streams import open_streams

    open_streams()
    answer_at_once()
    if sys.platform == "win32":
        from pegasus_runtime.command_line.patterns import expand_patterns

        sys.argv[1:] = expand_patterns(sys.argv[1:])
    code: int = import_module(module).main()
    return code
