"""huggingface_hub, without its telemetry, and what its errors mean."""

import errno
import os
from types import ModuleType

__all__ = ["explain_failure", "import_hub"]


_OF_A_DISK = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EROFS,
)


def import_hub() -> ModuleType:
    """Raises: ModuleNotFoundError.

    HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean to it.
    """
    # Else requests tell what else is installed and who runs it, and another host is asked, too.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub

    return huggingface_hub


def explain_failure(repo_id: str, revision: str | None, err: Exception) -> str:
    """One line that says why a download failed and what to do next."""
    from huggingface_hub import constants, errors

    hub = constants.ENDPOINT
    if isinstance(err, errors.GatedRepoError):
        return f"{repo_id} is gated on {hub}: accept its terms there, then run `hf auth login`"
    if isinstance(err, errors.RepositoryNotFoundError):
        return (
            f"{repo_id} is neither a folder here nor a repository that you may read on {hub}: "
            "check the name, or run `hf auth login` if it is private"
        )
    if isinstance(err, errors.RevisionNotFoundError):
        return f"{repo_id} has no revision {revision} on {hub}: give a branch, a tag or a commit"
    if isinstance(err, errors.LocalEntryNotFoundError):
        if constants.HF_HUB_OFFLINE:
            return (
                f"{repo_id} is not complete in the cache and HF_HUB_OFFLINE is set: "
                "unset it, or give a local folder"
            )
        return (
            f"{repo_id} is not complete in the cache and {hub} does not deliver it "
            f"({type(err.__cause__ or err).__name__}): check the connection, or give a local folder"
        )
    if isinstance(err, OSError) and err.errno in _OF_A_DISK:
        return (
            f"{repo_id} cannot be downloaded to {constants.HF_HUB_CACHE} ({err.strerror}): free "
            "some space there, or set HF_HOME to another folder"
        )
    reason = next(iter(str(err).splitlines()), "")
    return f"{repo_id} cannot be downloaded ({type(err).__name__}: {reason}): try again later"
