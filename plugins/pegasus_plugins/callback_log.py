"""Exceptions in what TensorRT calls back: it makes a failure of them, but says not why.

Its bindings write them to standard error at most, so they also go to this module's log.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from pegasus_plugins.specification import NAME, NAMESPACE

__all__ = ["logged"]

_LOG = logging.getLogger(__name__)
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def logged(callback: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The same callback, whose exceptions are logged and raised again."""

    @functools.wraps(callback)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return callback(*args, **kwargs)
        except Exception as err:
            _LOG.error("%s::%s: %s: %s", NAMESPACE, NAME, callback.__name__, err)
            raise

    return call
