"""The advice about too long a document is true for the bundle."""

import pytest

from pegasus_runtime.tokenization.limits import over_limit


@pytest.mark.parametrize(
    ("num_tokens", "limit", "positions", "can_cut", "message"),
    [
        (
            300,
            256,
            512,
            True,
            "source has 300 tokens, the bundle takes 256: shorten it, pass truncate=True "
            "(--truncate), or export with --max-source-tokens 300",
        ),
        (
            300,
            256,
            512,
            False,
            "source has 300 tokens, the bundle takes 256: shorten it, or export with "
            "--max-source-tokens 300",
        ),
        (
            513,
            512,
            512,
            True,
            "source has 513 tokens, the bundle takes 512, as many as the model was made for: "
            "shorten it, pass truncate=True (--truncate), or split it into parts",
        ),
        (
            5000,
            1024,
            512,
            False,
            "source has 5000 tokens, the bundle takes 1024 and the model was made for 512: "
            "shorten it, or split it into parts",
        ),
        (
            300,
            256,
            None,
            True,
            "source has 300 tokens, the bundle takes 256: shorten it, pass truncate=True "
            "(--truncate), or split it into parts",
        ),
    ],
)
def test_a_larger_export_is_advised_up_to_the_model_s_positions_alone(
    num_tokens: int, limit: int, positions: int | None, can_cut: bool, message: str
) -> None:
    error = over_limit("source", num_tokens, limit, positions=positions, can_cut=can_cut)
    assert str(error) == message
