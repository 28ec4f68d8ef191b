"""The advice about too long a document is true for the bundle."""

import pytest

from pegasus_runtime.bundle import Architecture
from pegasus_runtime.tokenization.limits import over_limit

MADE_FOR = "as many as the model was made for (beyond them its summaries are wrong)"
CUT, CHUNK = "truncate=True (--truncate)", "long='chunk' (--long chunk)"
LONGER = "use a checkpoint for long documents, such as"


def model(model_type: str, positions: int | None) -> Architecture:
    return Architecture(
        model_type=model_type,
        architecture="",
        vocab_size=200,
        d_model=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_heads=1,
        decoder_heads=1,
        head_dim=8,
        max_position_embeddings=positions,
    )


@pytest.mark.parametrize(
    ("num_tokens", "limit", "model_type", "positions", "advice"),
    [
        (
            300,
            256,
            "pegasus",
            512,
            f": shorten it, pass {CUT} or {CHUNK}, or export with --max-source-tokens 300",
        ),
        (
            513,
            512,
            "pegasus",
            512,
            f", {MADE_FOR}: shorten it, pass {CUT} or {CHUNK}, or {LONGER} BigBirdPegasus or "
            "PEGASUS-X",
        ),
        (
            5000,
            1024,
            "pegasus",
            512,
            f", and the model was made for 512: shorten it, pass {CUT} or {CHUNK}, or {LONGER} "
            "PEGASUS-X",
        ),
        (
            4097,
            4096,
            "bigbird_pegasus",
            4096,
            f", the 4096 positions that the model has learned: shorten it, pass {CUT} or {CHUNK}, "
            f"or {LONGER} PEGASUS-X",
        ),
        (
            4097,
            2048,
            "bigbird_pegasus",
            4096,
            ", and the 4096 positions that the model has learned are its most: shorten it, pass "
            f"{CUT} or {CHUNK}, or {LONGER} PEGASUS-X",
        ),
        (
            16385,
            16384,
            "pegasus_x",
            16384,
            f", {MADE_FOR}: shorten it, or pass {CUT} or {CHUNK}",
        ),
        (300, 256, "pegasus", None, f": shorten it, or pass {CUT} or {CHUNK}"),
    ],
)
def test_ways_out_are_those_of_the_model(
    num_tokens: int, limit: int, model_type: str, positions: int | None, advice: str
) -> None:
    error = over_limit(
        "source",
        num_tokens,
        limit,
        model=model(model_type, positions),
        can_cut=True,
        can_chunk=True,
    )
    assert str(error) == f"source has {num_tokens} tokens, the bundle takes {limit}{advice}"


@pytest.mark.parametrize(
    ("can_cut", "num_tokens", "advice"),
    [
        (True, 300, f": shorten it, pass {CUT}, or export with --max-source-tokens 300"),
        (False, 300, ": shorten it, or export with --max-source-tokens 300"),
        (True, 600, f", and the model was made for 512: shorten it, pass {CUT}, or split it into "
         "parts"),
        (False, 600, ", and the model was made for 512: shorten it, or split it into parts"),
    ],
)  # fmt: skip
def test_only_what_the_caller_can_ask_for_is_advised(
    can_cut: bool, num_tokens: int, advice: str
) -> None:
    error = over_limit("source", num_tokens, 256, model=model("pegasus", 512), can_cut=can_cut)
    assert str(error) == f"source has {num_tokens} tokens, the bundle takes 256{advice}"


def test_of_an_unknown_model_only_what_is_always_true_is_said() -> None:
    error = over_limit("source", 300, 256, model=None, can_cut=False)
    assert str(error) == (
        "source has 300 tokens, the bundle takes 256: shorten it, or split it into parts"
    )
