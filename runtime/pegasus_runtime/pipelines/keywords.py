"""The keywords of a pipeline, sorted by what they are for."""

from collections.abc import Collection, Mapping
from typing import Any

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.spelling import did_you_mean

__all__ = ["check_known", "drop_none", "is_truncating"]

_CUTS = (True, "longest_first")
_LEAVES = (False, "do_not_truncate")


def drop_none(keywords: Mapping[str, Any], *, but: Collection[str] = ()) -> dict[str, Any]:
    """Those that were given: None is none of them. but: names of which None means something."""
    return {name: value for name, value in keywords.items() if value is not None or name in but}


def check_known(
    keywords: Collection[str], own: Collection[str], others: Collection[str] = ()
) -> None:
    """own: the pipeline's. others: options of generation, which it takes, too.

    Raises: OptionsError that names the nearest of them.
    """
    for name in keywords:
        if name not in own and name not in others:
            such = f": it takes {', '.join(own)}" + (" and options of generation" if others else "")
            near = did_you_mean(name, [*own, *sorted(others)]) or such
            raise OptionsError(f"{name} is no option of this pipeline{near}")


def is_truncating(value: object) -> bool:
    """transformers' `truncation` as whether to cut a text that is over the limit.

    Raises: OptionsError.
    """
    for values, cuts in ((_CUTS, True), (_LEAVES, False)):
        if any(value is each or (isinstance(each, str) and value == each) for each in values):
            return cuts
    raise OptionsError(f"truncation is {value!r}, expected True, False or 'longest_first'")
