"""Token ids that are refused as a document."""

from typing import Any

import pytest

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import InputError
from pegasus_runtime.tasks.source import check_source


def test_a_source_as_long_as_the_limit_passes(bundle: Bundle) -> None:
    vocabulary = bundle.manifest.architecture.vocab_size
    limit = bundle.manifest.limits.max_source_tokens
    check_source(0, [0, vocabulary - 1] * (limit // 2), bundle.manifest)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (5, "^source 3 is no sequence of integers: give one list of token ids per document$"),
        (["a"], "^source 3 is no sequence of integers"),
        ([], "^source 3 has no tokens: give at least EOS$"),
        ([5] * 999, r"^source 3 has 999 tokens, the bundle takes \d+, as many as the mod"),
        ([5, -1], r"^source 3 has token -1, the vocabulary ends at \d+: encode it with this bun"),
    ],
)
def test_other_sources_are_refused_by_their_number(
    bundle: Bundle, source: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_source(3, source, bundle.manifest)
