"""How something was loaded, so that another process can do it again: what pickle carries."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import BundleError

__all__ = ["Origin", "remembers_origin", "reopen"]

_Load = TypeVar("_Load", bound=Callable[..., Any])


class _Loaded(Protocol):
    bundle: Bundle
    origin: Origin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What `load` was given."""

    source: Path | str
    """The folder, absolute; or the name on a hub, which is looked up again."""
    keywords: Mapping[str, Any]
    manifest_sha256: str | None
    """Of a folder's bundle: another one there is not what was pickled. A name may stand for another
    export on another computer."""


def remembers_origin(load: _Load) -> _Load:
    """For the `load` of a class: what it was given stays with what it returns."""

    @functools.wraps(load)
    def loaded(cls: type[Any], source: Path | str, **keywords: Any) -> _Loaded:
        made: _Loaded = load(cls, source, **keywords)
        made.origin = _origin(made.bundle, source, keywords)
        return made

    return cast(_Load, loaded)


def reopen(kind: type[Any], origin: Origin) -> Any:
    """Loads it again; for pickle. Raises: what `load` raises; BundleError for another bundle."""
    opened = kind.load(origin.source, **origin.keywords)
    found = opened.bundle.manifest_sha256
    if origin.manifest_sha256 not in (None, found):
        raise BundleError(
            f"{opened.bundle.folder}: the bundle is another one than when the {kind.__name__} was "
            "pickled: load it again, and pickle that"
        )
    return opened


def _origin(bundle: Bundle, source: Path | str, keywords: Mapping[str, Any]) -> Origin:
    kept = {**keywords}
    if kept.get("kernel_cache") is not None:
        kept["kernel_cache"] = Path(kept["kernel_cache"]).absolute()
    if bundle.folder != Path(source).resolve():  # a name, of which the folder is in a cache
        return Origin(source=source, keywords=kept, manifest_sha256=None)
    return Origin(source=bundle.folder, keywords=kept, manifest_sha256=bundle.manifest_sha256)
