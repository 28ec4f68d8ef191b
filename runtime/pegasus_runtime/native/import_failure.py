"""Why a library could not be imported: it is missing, it is broken, or somebody pressed Ctrl-C."""

from pegasus_runtime.errors import EngineError

__all__ = ["explain_import_error"]


def explain_import_error(error: ImportError, name: str, install: str) -> EngineError:
    """The error that says so; name: the module's; install: the command that installs it.

    Raises: KeyboardInterrupt, where that is what came in between: modules in C report it so.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        link = link.__cause__ or link.__context__
    if isinstance(error, ModuleNotFoundError) and error.name == name:
        return EngineError(f"{name} is not installed: {install}")
    return EngineError(f"{name} cannot be imported ({error}): {install}")
