"""Opening a checkpoint folder: which one it is, what it describes, which files it has."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import transformers

from exporter.tiny_checkpoint import ARCHITECTURES, tiny_spiece, write_tiny_checkpoint
from pegasus_export.checkpoint.folder import (
    Checkpoint,
    combine_hashes,
    hash_files,
    hash_source,
    open_checkpoint,
)
from pegasus_export.errors import CheckpointError, ExportError, UnsupportedError


def _edit(folder: Path, **changes: Any) -> None:
    """Change fields of config.json; a change to ... removes the field."""
    path = folder / "config.json"
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not ...}))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_folder_of_transformers_opens(tmp_path: Path, architecture: str) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture=architecture)
    checkpoint = open_checkpoint(str(folder))
    assert checkpoint.name == str(folder)
    assert checkpoint.folder == folder
    is_bigbird = architecture.startswith("BigBird")
    model_types = {"BigBird": "bigbird_pegasus", "PegasusX": "pegasus_x"}
    found = (kind for start, kind in model_types.items() if architecture.startswith(start))
    assert checkpoint.model_type == next(found, "pegasus")
    assert checkpoint.architecture == architecture
    assert checkpoint.config.d_model == 32
    assert checkpoint.spiece is not None
    assert checkpoint.spiece.read_bytes() == tiny_spiece(bigbird=is_bigbird)
    with pytest.raises(dataclasses.FrozenInstanceError):
        checkpoint.name = "other"  # type: ignore[misc]


def test_a_relative_folder_and_a_home_folder_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_checkpoint(tmp_path / "owner" / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for model in ("owner/model", "./owner/model", "~/owner/model"):
        assert open_checkpoint(model).config.d_model == 32


@pytest.mark.parametrize("model", ["/none/here", "./none", "~/none", "a/b/c", "..\\none"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(model: str) -> None:
    with pytest.raises(CheckpointError, match=r"expected a checkpoint folder: check the path"):
        open_checkpoint(model)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(CheckpointError, match="the model is '', expected a checkpoint folder or"):
        open_checkpoint("")


def test_a_name_too_long_for_the_disk_is_refused() -> None:
    with pytest.raises(ExportError):
        open_checkpoint("/" + "x" * 5000)


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.what").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model\.what is a file, expected a checkpoint"):
        open_checkpoint(str(tmp_path / "model.what"))


def test_a_local_folder_has_no_revisions(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="is a local folder, got revision main: leave"):
        open_checkpoint(str(tmp_path), revision="main")


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("?")
    with pytest.raises(CheckpointError, match=r"has no config\.json: give the folder"):
        open_checkpoint(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"model_type": "bigbird_pegasus"},
            r"has architectures .*, expected one of BigBirdPegasusForConditionalGeneration, ",
        ),
        (
            {"model_type": "bart"},
            "has model_type 'bart', which is BART, expected 'pegasus', 'bigbird_pegasus' or 'peg",
        ),
        ({"model_type": "pegasus_x"}, r"has architectures .*, expected one of PegasusXForCondit"),
        ({"model_type": "gpt9"}, "has model_type 'gpt9', expected 'pegasus', 'bigbird_pegasus' o"),
        ({"model_type": ..., "architectures": ...}, "has model_type None, expected 'pegasus'"),
        (
            {"architectures": ["BigBirdPegasusModel"]},
            r"has architectures \['BigBirdPegasusModel'\]",
        ),
        (
            {"architectures": ["MyPegasusForQuestionAnswering"]},
            r"has architectures \['MyPegasusForQuestionAnswering'\], expected one of Pegasus",
        ),
        ({"architectures": 5}, "has architectures 5, expected one of PegasusForConditionalGener"),
        ({"architectures": [["PegasusModel"]]}, "expected one of PegasusForConditionalGeneration"),
    ],
)
def test_another_architecture_is_refused(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    write_tiny_checkpoint(tmp_path)
    _edit(tmp_path, **changes)
    with pytest.raises(UnsupportedError, match=expected):
        open_checkpoint(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "read_as"),
    [
        ("MyPegasusForConditionalGeneration", "PegasusForConditionalGeneration"),
        ("PegasusForConditionalGenerationWithCopy", "PegasusForConditionalGeneration"),
        ("TFPegasusModel", "PegasusModel"),
    ],
)
@pytest.mark.parametrize("model_type", ["pegasus", ...])
def test_a_subclass_is_what_it_is_named_after(
    tmp_path: Path, name: str, read_as: str, model_type: Any
) -> None:
    write_tiny_checkpoint(tmp_path)
    _edit(tmp_path, architectures=[name], model_type=model_type)
    checkpoint = open_checkpoint(str(tmp_path))
    assert (checkpoint.architecture, checkpoint.model_type) == (read_as, "pegasus")
    expected = [f"architectures has {name}: read as {read_as}"]
    if model_type is ...:
        expected.append(f"config.json leaves out model_type: pegasus, as of {read_as}")
    assert list(checkpoint.config.notes) == expected


@pytest.mark.parametrize(
    ("names", "architecture"),
    [
        (["MyPegasus"], "PegasusForConditionalGeneration"),
        (["PegasusForSpeech"], "PegasusForConditionalGeneration"),
        (["PegasusWithCopyForCausalLM"], "PegasusForCausalLM"),
        (["BartForConditionalGeneration"], "PegasusForConditionalGeneration"),
        (["PegasusModel", "MyPegasus"], "PegasusModel"),
    ],
)
def test_a_subclass_is_taken_for_what_transformers_loads_by_model_type(
    tmp_path: Path, names: list[str], architecture: str
) -> None:
    write_tiny_checkpoint(tmp_path)
    _edit(tmp_path, architectures=names)
    checkpoint = open_checkpoint(str(tmp_path))
    assert checkpoint.architecture == architecture
    if len(names) == 1:
        loaded = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
        assert architecture in (type(loaded).__name__, "PegasusForCausalLM")
    [note] = checkpoint.notes
    assert note.startswith("architectures ")


@pytest.mark.parametrize("name", ["PegasusForConditionalGeneration", "PegasusModel"])
def test_an_architecture_that_is_in_no_list_is_read_as_if_it_were(
    tmp_path: Path, name: str
) -> None:
    write_tiny_checkpoint(tmp_path)
    _edit(tmp_path, architectures=name)
    checkpoint = open_checkpoint(str(tmp_path))
    assert checkpoint.architecture == name
    note = f"architectures is {name!r}, no list: read as a list of it"
    assert list(checkpoint.config.notes) == [note]


@pytest.mark.parametrize("value", [..., None, []])
def test_a_config_without_architecture_is_a_conditional_generator(
    tmp_path: Path, value: Any
) -> None:
    write_tiny_checkpoint(tmp_path)
    _edit(tmp_path, architectures=value)
    assert open_checkpoint(str(tmp_path)).architecture == "PegasusForConditionalGeneration"


def test_generation_settings_come_from_their_own_file(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, generation={"num_beams": 3})
    _edit(tmp_path, num_beams=8, no_repeat_ngram_size=3)
    path = tmp_path / "generation_config.json"
    settings = json.loads(path.read_text()) | {"top_k": None, "_from_model_config": True}
    path.write_text(json.dumps(settings))
    assert open_checkpoint(str(tmp_path)).generation == {
        "bos_token_id": 0,
        "decoder_start_token_id": 0,
        "eos_token_id": 1,
        "forced_eos_token_id": 1,
        "length_penalty": 0.6,
        "max_length": 24,
        "min_length": 5,
        "num_beams": 3,
        "pad_token_id": 0,
    }


@pytest.mark.parametrize("forced_eos", [1, None, ...])
def test_without_that_file_they_are_those_that_transformers_takes_from_the_config(
    tmp_path: Path, forced_eos: Any
) -> None:
    write_tiny_checkpoint(tmp_path)
    (tmp_path / "generation_config.json").unlink()
    settings = {"num_beams": 8, "max_length": 64, "length_penalty": 0.6, "top_k": 7, "num_beam": 1}
    _edit(tmp_path, forced_eos_token_id=forced_eos, **settings)
    oracle = transformers.PegasusForConditionalGeneration.from_pretrained(tmp_path)
    expected = oracle.generation_config.to_dict()
    for key in ("transformers_version", "_from_model_config"):
        del expected[key]
    assert open_checkpoint(str(tmp_path)).generation == {
        key: value for key, value in expected.items() if value is not None
    }


def test_a_checkpoint_without_sentencepiece_model_opens(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    (tmp_path / "spiece.model").unlink()
    assert open_checkpoint(str(tmp_path)).spiece is None


def _opened(folder: Path, **options: Any) -> Checkpoint:
    return open_checkpoint(str(write_tiny_checkpoint(folder, **options)))


def test_the_fingerprint_covers_each_source_file_and_no_other(tmp_path: Path) -> None:
    checkpoint = _opened(tmp_path, weights="safetensors-sharded")
    digests = hash_files(checkpoint)
    shards = {path.name for path in tmp_path.glob("model-*.safetensors")}
    assert set(digests) == {
        "config.json",
        "generation_config.json",
        "spiece.model",
        "model.safetensors.index.json",
        *shards,
    }
    for name, digest in digests.items():
        assert digest == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert hash_source(checkpoint) == combine_hashes(dict(reversed(digests.items())))
    (tmp_path / "README.md").write_text("new")
    assert hash_source(checkpoint) == combine_hashes(digests)
    (tmp_path / "spiece.model").write_bytes(b"other")
    assert hash_source(checkpoint) != combine_hashes(digests)


def test_equal_checkpoints_in_different_folders_have_one_fingerprint(tmp_path: Path) -> None:
    first, second = _opened(tmp_path / "a"), _opened(tmp_path / "b")
    assert hash_source(first) == hash_source(second)
    assert hash_source(_opened(tmp_path / "c", seed=1)) != hash_source(first)


def test_a_file_that_vanishes_before_it_is_hashed_is_named(tmp_path: Path) -> None:
    checkpoint = _opened(tmp_path)
    os.unlink(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read \(No such file"):
        hash_files(checkpoint)


@pytest.mark.parametrize(
    ("file", "what"), [("spiece.model", "a tokenizer"), ("model.safetensors", "weights")]
)
def test_a_clone_without_its_large_files_is_told_before_anything_is_read(
    tmp_path: Path, file: str, what: str
) -> None:
    write_tiny_checkpoint(tmp_path)
    (tmp_path / file).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    with pytest.raises(
        CheckpointError, match=rf"{file} is a Git LFS pointer, expected {what}: run"
    ):
        open_checkpoint(str(tmp_path))
