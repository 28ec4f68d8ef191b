"""What Windows refuses as long as somebody has a file open, tried until nobody has.

There no folder is moved with an open or a mapped file in it, and no open file replaced. Often that
is over in a moment: a virus scanner looks into what was just written, or this process has let go of
a mapping that is not collected yet.
"""

import gc
import time
from collections.abc import Callable

__all__ = ["when_free"]

_FOR_S = 2.0
_PAUSE_S = 0.05
_IN_USE = (5, 32, 33)  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION


def when_free(act: Callable[[], object]) -> None:
    """Calls act, and again for a while if what it is about is in use. Raises: what act raises."""
    end = 0.0
    while True:
        try:
            act()
        except OSError as err:
            if getattr(err, "winerror", None) not in _IN_USE:  # None on other systems
                raise
            if not end:
                gc.collect()
                end = time.monotonic() + _FOR_S
            elif time.monotonic() >= end:
                what = "a program has it open, or a file in it"
                raise PermissionError(err.errno, what, err.filename) from err
            else:
                time.sleep(_PAUSE_S)
        else:
            return
