"""What a download that failed is told as."""

import errno
import os

import pytest

from pegasus_runtime.hub.client import explain_failure


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_no_more_is_named_with_what_moves_it(number: int) -> None:
    said = explain_failure("a/b", None, OSError(number, os.strerror(number)))
    assert said.startswith("a/b cannot be downloaded to ")
    assert f" ({os.strerror(number)}): free some space there, or set HF_HOME to another" in said


def test_other_failures_may_pass() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert explain_failure("a/b", None, refused).endswith("Connection refused): try again later")
