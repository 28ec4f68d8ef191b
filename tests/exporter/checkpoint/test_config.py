"""config.json: what transformers writes is read, and what cannot be is refused in one message."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers.activations import ACT2CLS

from pegasus_export.checkpoint.activation_names import WITH_WEIGHTS
from pegasus_export.checkpoint.config import ACTIVATIONS, BlockLocal, PegasusConfig, read_config
from pegasus_export.checkpoint.json_object import read_json_object
from pegasus_export.errors import CheckpointError

# google/pegasus-xsum, as transformers 4 wrote it: no tie_word_embeddings, fields of every age.
XSUM: dict[str, Any] = {
    "activation_dropout": 0.1,
    "activation_function": "relu",
    "add_bias_logits": False,
    "add_final_layer_norm": True,
    "architectures": ["PegasusForConditionalGeneration"],
    "bos_token_id": 0,
    "d_model": 1024,
    "decoder_attention_heads": 16,
    "decoder_ffn_dim": 4096,
    "decoder_layers": 16,
    "decoder_start_token_id": 0,
    "encoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "encoder_layers": 16,
    "eos_token_id": 1,
    "extra_pos_embeddings": 1,
    "forced_eos_token_id": 1,
    "is_encoder_decoder": True,
    "length_penalty": 0.6,
    "max_length": 64,
    "max_position_embeddings": 512,
    "model_type": "pegasus",
    "normalize_before": True,
    "num_beams": 8,
    "num_hidden_layers": 16,
    "pad_token_id": 0,
    "scale_embedding": True,
    "static_position_embeddings": True,
    "torch_dtype": "float32",
    "transformers_version": "4.12.0.dev0",
    "use_cache": True,
    "vocab_size": 96103,
}
SIZES = (
    "vocab_size",
    "d_model",
    "encoder_layers",
    "decoder_layers",
    "encoder_attention_heads",
    "decoder_attention_heads",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "max_position_embeddings",
)


def _write(folder: Path, **changes: Any) -> Path:
    """XSUM with changes; a change to ... removes the field."""
    fields = {key: value for key, value in (XSUM | changes).items() if value is not ...}
    path = folder / "config.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path


def _problem(folder: Path, **changes: Any) -> str:
    with pytest.raises(CheckpointError, match="does not describe a PEGASUS network") as caught:
        read_config(_write(folder, **changes))
    return str(caught.value)


def test_a_file_of_transformers_4_is_read(tmp_path: Path) -> None:
    assert read_config(_write(tmp_path)) == PegasusConfig(
        vocab_size=96103,
        d_model=1024,
        encoder_layers=16,
        decoder_layers=16,
        encoder_attention_heads=16,
        decoder_attention_heads=16,
        encoder_ffn_dim=4096,
        decoder_ffn_dim=4096,
        max_position_embeddings=512,
        activation_function="relu",
        scale_embedding=True,
        pad_token_id=0,
        eos_token_ids=(1,),
        decoder_start_token_id=0,
        tie_word_embeddings=True,
        labels=("LABEL_0", "LABEL_1"),
    )


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": False}, {"eos_token_id": [1, 7]}])
def test_a_file_of_transformers_5_is_read_even_where_it_holds_class_defaults(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    source = transformers.PegasusConfig(**changes)
    source.save_pretrained(tmp_path)
    config = read_config(tmp_path / "config.json")
    for name in ("vocab_size", "d_model", "encoder_layers", "activation_function"):
        assert getattr(config, name) == getattr(source, name)
    assert config.tie_word_embeddings is changes.get("tie_word_embeddings", True)
    assert config.eos_token_ids == tuple(changes.get("eos_token_id", [1]))


@pytest.mark.parametrize("name", ACT2CLS)
def test_an_activation_is_read_unless_it_has_weights(tmp_path: Path, name: str) -> None:
    if name in WITH_WEIGHTS:
        expected = f'activation_function is "{name}", whose weights are not read, expected one wit'
        assert expected in _problem(tmp_path, activation_function=name)
        return
    config = read_config(_write(tmp_path, activation_function=name))
    assert config.activation_function == ACTIVATIONS[name]


def test_names_of_activations_are_transformers() -> None:
    assert set(ACT2CLS) == {*ACTIVATIONS, *WITH_WEIGHTS}


def test_fields_that_are_null_are_listed(tmp_path: Path) -> None:
    message = _problem(
        tmp_path, d_model=..., scale_embedding=None, eos_token_id=..., activation_function=None
    )
    assert "network: activation_function, scale_embedding missing; correct it" in message
    message = _problem(tmp_path, d_model=None, vocab_size=None)
    assert "vocab_size, d_model missing" in message


@pytest.mark.parametrize("model_type", ["pegasus", "bigbird_pegasus"])
def test_what_is_left_out_is_what_transformers_has(tmp_path: Path, model_type: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    config = read_config(tmp_path / "config.json")
    oracle = transformers.AutoConfig.from_pretrained(tmp_path)
    for name in (*SIZES, "scale_embedding", "activation_function", "tie_word_embeddings"):
        assert getattr(config, name) == getattr(oracle, name), name
    for name in ("pad_token_id", "decoder_start_token_id"):
        assert getattr(config, name) == getattr(oracle, name), name
    assert config.eos_token_ids == (oracle.eos_token_id,)
    if model_type == "bigbird_pegasus":
        assert config.attention_bias is oracle.use_bias
        assert config.block_sparse is not None
        assert config.block_sparse.block_size == oracle.block_size
        assert config.block_sparse.num_random_blocks == oracle.num_random_blocks
    (note,) = config.notes
    assert note.startswith("config.json leaves out d_model, ")
    assert f"vocab_size {oracle.vocab_size}" in note


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 512, "d_model": ...},
        {"num_attention_heads": 8},
        {"num_hidden_layers": 12},
        {"num_hidden_layers": 12, "encoder_layers": ...},
    ],
)
def test_other_names_of_fields_hold_as_in_transformers(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = read_config(_write(tmp_path, **changes))
    oracle = transformers.AutoConfig.from_pretrained(tmp_path)
    for name in SIZES:
        assert getattr(config, name) == getattr(oracle, name), name
    contradicts = not any(value is ... for value in changes.values())
    assert bool(config.notes) is contradicts
    if contradicts:
        assert "holds, as in transformers" in config.notes[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"id2label": {"0": "no", "1": "yes"}},
        {"id2label": {"0": "no", "1": "yes"}, "num_labels": 3},
        {"num_labels": 5},
        {"num_labels": 2, "id2label": {"0": "no", "1": "yes"}},
        {},
    ],
)
def test_labels_are_those_of_transformers(tmp_path: Path, changes: dict[str, Any]) -> None:
    config = read_config(_write(tmp_path, **changes))
    oracle = transformers.AutoConfig.from_pretrained(tmp_path)
    assert config.labels == tuple(oracle.id2label[i] for i in range(len(oracle.id2label)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id2label": {"0": "a", "2": "b"}}, 'id2label is {"0": "a", "2": "b"}, expected names'),
        ({"id2label": ["a"]}, 'id2label is ["a"], expected names under 0, 1, 2'),
        ({"num_labels": 0}, "num_labels is 0, expected from 1 to"),
        ({"problem_type": 3}, "problem_type is 3, expected a text"),
    ],
)
def test_labels_are_looked_at_where_they_are_used(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    classifier = {"architectures": ["BigBirdPegasusForSequenceClassification"]}
    assert expected in _problem(tmp_path, **classifier, **changes)
    if "problem_type" not in changes:
        assert read_config(_write(tmp_path, **changes)).labels


def test_a_wrong_name_of_padding_is_no_obstacle(tmp_path: Path) -> None:
    assert read_config(_write(tmp_path, pad_token_id=-1)).pad_token_id == 0
    assert read_config(_write(tmp_path, decoder_start_token_id=[4])).decoder_start_token_id == 4


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("decoder_start_token_id", -1, "is -1, expected an integer from 0 to 96102"),
        ("decoder_start_token_id", [99999], "is [99999], expected an integer from 0 to"),
        ("eos_token_id", [], "is [], expected an integer or a list of integers from 0"),
        ("eos_token_id", -1, "is -1, expected an integer or a list of integers from"),
        ("eos_token_id", [1, 99999], "is [1, 99999], expected an integer or a list of"),
    ],
)
def test_an_id_that_is_no_token_is_for_those_to_judge_who_use_it(
    tmp_path: Path, name: str, value: Any, expected: str
) -> None:
    config = read_config(_write(tmp_path, **{name: value}))
    assert list(config.token_problems) == [name]
    assert config.token_problems[name].startswith(f"{name} {expected}")
    assert config == read_config(_write(tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("d_model", 1024.0, "1024.0"),
        ("d_model", float("nan"), "NaN"),
        ("d_model", True, "true"),
        ("d_model", 10**30, "1" + "0" * 30),
        ("vocab_size", "96103", '"96103"'),
        ("decoder_layers", 0, "0"),
        ("decoder_ffn_dim", -4096, "-4096"),
        ("encoder_attention_heads", [16], "[16]"),
        ("max_position_embeddings", {"a": "b" * 99}, '{"a": "b'),
    ],
)
def test_an_impossible_size_is_shown(tmp_path: Path, name: str, value: Any, shown: str) -> None:
    message = _problem(tmp_path, **{name: value})
    assert f"{name} is {shown}" in message
    assert "expected an integer from 1 to" in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"encoder_attention_heads": 24}, "expected a multiple of encoder_attention_heads (24)"),
        ({"decoder_attention_heads": 24}, "expected a multiple of decoder_attention_heads (24)"),
        ({"d_model": 1023, "encoder_attention_heads": 1}, "d_model is 1023, expected an even"),
        ({"activation_function": "elu"}, 'activation_function is "elu", expected one of relu'),
        ({"is_encoder_decoder": False}, "is_encoder_decoder is false, expected true of an encod"),
        ({"per_layer_config": {"0": {"d_model": 8}}}, "per_layer_config is given, expected laye"),
        ({"activation_function": 3}, "activation_function is 3, expected one of relu"),
        ({"activation_function": ["relu"]}, 'activation_function is ["relu"], expected one of'),
        ({"scale_embedding": 1}, "scale_embedding is 1, expected true or false"),
        ({"tie_word_embeddings": "no"}, 'tie_word_embeddings is "no", expected true or false'),
        ({"pad_token_id": 96103}, "pad_token_id is 96103, expected an integer from 0 to 96102"),
        ({"decoder_start_token_id": 1.0}, "decoder_start_token_id is 1.0, expected an integer fr"),
        ({"pad_token_id": [0]}, "pad_token_id is [0], expected an integer from 0"),
        ({"eos_token_id": [1, True]}, "eos_token_id is [1, true], expected an integer or a list"),
        ({"eos_token_id": 1.0}, "eos_token_id is 1.0, expected an integer or a list of integers"),
    ],
)
def test_an_impossible_value_is_refused(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    assert expected in _problem(tmp_path, **changes)


PEGASUS_X: dict[str, Any] = {
    "model_type": "pegasus_x",
    "architectures": ["PegasusXForConditionalGeneration"],
    "block_size": 512,
    "num_global_tokens": 128,
    "stagger_local_blocks": True,
}


def test_a_pegasus_x_has_local_attention_without_biases(tmp_path: Path) -> None:
    config = read_config(_write(tmp_path, **PEGASUS_X))
    local = BlockLocal(block_size=512, num_global_tokens=128, staggers=True)
    assert (config.block_local, config.block_sparse) == (local, None)
    assert (config.attention_bias, config.learned_positions) == (False, False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"block_size": 0}, "block_size is 0, expected an integer from 1 to 100000"),
        ({"num_global_tokens": 0}, "num_global_tokens is 0, expected an integer from 1 to"),
        ({"num_global_tokens": None}, "num_global_tokens missing"),
        ({"block_size": 511}, "block_size is 511, expected an even number, to stagger blocks"),
        ({"stagger_local_blocks": 1}, "stagger_local_blocks is 1, expected true or false"),
        (
            {"d_model": 2, "encoder_attention_heads": 1, "decoder_attention_heads": 1},
            "d_model is 2, expected at least 4 of PEGASUS-X",
        ),
    ],
)
def test_an_impossible_pegasus_x_is_refused(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    assert expected in _problem(tmp_path, **{**PEGASUS_X, **changes})


def test_one_message_lists_every_problem(tmp_path: Path) -> None:
    message = _problem(
        tmp_path, scale_embedding=None, vocab_size=0, activation_function="x", eos_token_id="-1"
    )
    assert "scale_embedding missing; vocab_size is 0" in message
    assert 'activation_function is "x"' in message
    assert 'eos_token_id is "-1"' in message
    assert message.endswith("correct it, or download the checkpoint again")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b'{"a": "\xff"}', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[1]", "holds a JSON list, expected an object"),
        (b"null", "holds a JSON NoneType, expected an object"),
    ],
)
def test_a_file_that_is_no_json_object_is_refused(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=expected):
        read_json_object(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.json cannot be read \(No such file"):
        read_json_object(tmp_path / "none.json")


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json_object(path) == {"a": 1}
