"""Generation settings: those that transformers would have, out of either file."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig

from pegasus_export.checkpoint.generation import GENERATION_KEYS, read_generation
from pegasus_export.errors import CheckpointError


def test_the_names_are_those_of_transformers() -> None:
    public = {name for name in vars(GenerationConfig()) if not name.startswith("_")}
    assert set(GENERATION_KEYS) == public - {"transformers_version"}


@pytest.mark.parametrize(
    "fields",
    [
        {"num_beams": 8, "guidance_scale": 1.5, "min_p": 0.1, "vocab_size": 9},
        {"force_bos_token_to_be_generated": True, "bos_token_id": 5},
        {"force_bos_token_to_be_generated": True, "forced_bos_token_id": 4},
        {"decoder": {"num_beams": 3, "max_length": 7}, "max_length": 9},
        {"text_config": {"eos_token_id": [1, 2]}, "decoder": {}},
        {"eos_token_id": None, "max_length": None},
    ],
)
def test_a_config_alone_sets_what_transformers_takes_from_it(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(fields))
    oracle = GenerationConfig.from_pretrained(
        tmp_path, config_file_name="config.json", _from_model_config=True
    ).to_dict()
    expected = {key: value for key, value in oracle.items() if key in GENERATION_KEYS}
    found = read_generation(tmp_path, fields).values
    assert found == {key: value for key, value in expected.items() if value is not None}


def test_its_own_file_goes_before_the_config_and_null_is_not_set(tmp_path: Path) -> None:
    settings = {"num_beams": 3, "top_k": None, "mine": 1, "transformers_version": "5"}
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    found = read_generation(tmp_path, {"num_beams": 8, "top_k": 9})
    assert found.values == {"num_beams": 3, "mine": 1}
    assert found.notes == ()


@pytest.mark.parametrize(
    "content",
    [b"", b" \n", b'{"num_beams":', b'\xef\xbb\xbf{"num_beams": 3}', "{}".encode("utf-16")],
)
def test_a_file_that_is_no_json_is_left_out_with_a_note(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "generation_config.json").write_bytes(content)
    with pytest.raises(OSError, match="not a valid JSON"):
        GenerationConfig.from_pretrained(tmp_path)
    found = read_generation(tmp_path, {"num_beams": 8})
    assert found.values == {"num_beams": 8}
    assert len(found.notes) == 1
    assert "left out, as in transformers: the generation settings are those of" in found.notes[0]


@pytest.mark.parametrize("content", ["[]", "null", "5", "[" * 100_000, "9" * 5000])
def test_a_file_that_transformers_fails_on_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "generation_config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"generation_config\.json (holds a|is not valid)"):
        read_generation(tmp_path, {"num_beams": 8})
