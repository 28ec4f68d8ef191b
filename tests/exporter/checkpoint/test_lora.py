"""LoRA on its base is what PEFT merges, or runs beside it: see adapters/write_adapters.py."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from pegasus_engines.network import TOKEN_TABLES
from pegasus_export.checkpoint.adapter import read_adapter
from pegasus_export.checkpoint.folder import hash_files, hash_source, open_checkpoint
from pegasus_export.checkpoint.read_tensors import read_tensors
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.models.loading import load_pegasus

WRITTEN = Path(__file__).parent / "adapters"
ADAPTERS = sorted(
    f"{path.parent.parent.name}/{path.parent.name}"
    for path in WRITTEN.glob("*/*/right.safetensors")
)
UNMERGED = [
    f"tied/{name}" for name in ("embedding", "head", "shared", "own-tables", "stack-tokens")
]
IDS = torch.tensor([[120, 131, 150, 160, 171, 1]])
DECODER_IDS = torch.tensor([[0, 110, 120, 7]])

State = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _merged(name: str) -> State:
    base = WRITTEN / name.split("/")[0] / "base"
    return read_tensors(open_checkpoint(str(base), adapter=str(WRITTEN / name)))


@pytest.mark.parametrize("name", [name for name in ADAPTERS if name not in UNMERGED])
def test_an_adapter_is_merged_as_peft_merges_it(name: str) -> None:
    merged, right = _merged(name), load_file(WRITTEN / name / "right.safetensors")
    del right["logits"]
    for key, tensor in right.items():
        # The same operations; a product of matrices may round otherwise on another processor.
        torch.testing.assert_close(merged[key].float(), tensor, rtol=0, atol=1e-6)
    base = load_file(WRITTEN / name.split("/")[0] / "base" / "model.safetensors")
    for key in set(base) - set(right) - set(TOKEN_TABLES):
        assert torch.equal(merged[key], base[key]), key


@pytest.mark.parametrize("name", [name for name in ADAPTERS if name != "tied/shared"])
def test_the_merged_network_has_the_logits_of_the_adapter_beside_its_base(name: str) -> None:
    config = transformers.AutoConfig.from_pretrained(WRITTEN / name.split("/")[0] / "base")
    merged = {key: tensor.float() for key, tensor in _merged(name).items()}
    for key in TOKEN_TABLES[1:]:  # each part has its own, so that none is tied anew
        merged.setdefault(key, merged[TOKEN_TABLES[0]])
    config.tie_word_embeddings = False
    model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    model.load_state_dict(merged, strict=False)
    with torch.no_grad():
        logits = model.eval()(input_ids=IDS, decoder_input_ids=DECODER_IDS).logits
    right = load_file(WRITTEN / name / "right.safetensors")["logits"]
    torch.testing.assert_close(logits, right, rtol=1e-4, atol=1e-4)


def test_tables_that_are_no_longer_tied_reach_the_network() -> None:
    checkpoint = open_checkpoint(
        str(WRITTEN / "tied" / "base"), adapter=str(WRITTEN / "tied" / "own-head")
    )
    pegasus = load_pegasus(checkpoint)
    right = load_file(WRITTEN / "tied" / "own-head" / "right.safetensors")
    assert torch.equal(pegasus.state_dict()["lm_head.weight"], right["lm_head.weight"])
    assert any("copies in the weights differ" in note for note in checkpoint.notes)


def test_lora_on_the_shared_table_is_refused_as_peft_does_not_know_what_it_means() -> None:
    with pytest.raises(UnsupportedError, match=r"has LoRA on model\.shared\.weight, which no part"):
        _merged("tied/shared")


def _copy(folder: Path, name: str = "tied/attention", **changes: Any) -> Path:
    """An adapter of WRITTEN with other settings; a change to ... removes one."""
    shutil.copytree(WRITTEN / name, folder)
    path = folder / "adapter_config.json"
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: x for key, x in fields.items() if x is not ...}))
    return folder


def test_an_adapter_alone_finds_the_base_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(WRITTEN / "tied")
    checkpoint = open_checkpoint("./attention")
    assert checkpoint.name == "base + ./attention"
    assert checkpoint.notes == [
        "./attention is an adapter: its base is base, as adapter_config.json says",
        "the adapter ./attention is merged onto base, whose tokenizer is taken",
    ]
    merged = read_tensors(checkpoint)
    assert all(torch.equal(merged[key], x) for key, x in _merged("tied/attention").items())
    none = _copy(tmp_path / "none", base_model_name_or_path=None)
    with pytest.raises(CheckpointError, match=r"is a LoRA adapter that names no base: give it"):
        open_checkpoint(str(none))
    lost = _copy(tmp_path / "lost", base_model_name_or_path="/mnt/x/base", revision="v2")
    with pytest.raises(
        CheckpointError, match=r"LoRA adapter of /mnt/x/base: .*not exist.*; or give it yourself, -"
    ):
        open_checkpoint(str(lost))


def test_the_fingerprint_covers_base_and_adapter(tmp_path: Path) -> None:
    base, one = str(WRITTEN / "tied" / "base"), open_checkpoint
    alone = one(base)
    both = one(base, adapter=str(WRITTEN / "tied" / "attention"))
    assert {*hash_files(both)} - {*hash_files(alone)} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert hash_source(both) != hash_source(alone)
    other = one(base, adapter=str(_copy(tmp_path / "x", lora_alpha=11)))
    assert hash_source(other) != hash_source(both)


@pytest.mark.parametrize(
    "kind",
    [
        "ADALORA", "IA3", "LOHA", "LOKR", "OFT", "PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING",
        "VERA", "XLORA", "TRAINABLE_TOKENS", "LN_TUNING", None,
    ],
)  # fmt: skip
def test_other_adapters_are_refused_by_name(tmp_path: Path, kind: str | None) -> None:
    folder = _copy(tmp_path / "x", peft_type=kind)
    with pytest.raises(UnsupportedError, match=rf"has peft_type {kind!r}, expected 'LORA': of"):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"use_qalora": True}, "has use_qalora True, expected plain LoRA: merge it with peft's me"),
        ({"layer_replication": [[0, 2]]}, r"has layer_replication \[\[0, 2\]\], expected plain"),
        ({"alora_invocation_tokens": [3]}, r"has alora_invocation_tokens \[3\], expected plain"),
        ({"target_parameters": ["fc1.weight"]}, r"has target_parameters \['fc1"),
        ({"init_lora_weights": "pissa_niter_4"}, "has init_lora_weights 'pissa_niter_4', expected"),
        ({"init_lora_weights": "olora"}, "has init_lora_weights 'olora', expected plain LoRA"),
    ],
)
def test_kinds_of_lora_that_change_more_are_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UnsupportedError, match=expected):
        read_adapter(_copy(tmp_path / "x", **changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"r": 0}, "r is 0, expected a positive number: save the adapter again"),
        ({"lora_alpha": "16"}, "lora_alpha is '16', expected a positive number"),
        ({"rank_pattern": [1]}, r"rank_pattern is \[1\], expected an object"),
        ({"rank_pattern": {"(": 2}}, r"rank_pattern has '\(', which is no regular expression"),
        ({"alpha_pattern": {"x": 0}}, "alpha_pattern has 0 for x, expected a positive number"),
        ({"trainable_token_indices": ["<n>"]}, "trainable_token_indices holds other things than"),
    ],
)
def test_damaged_settings_are_listed(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(CheckpointError, match=expected):
        read_adapter(_copy(tmp_path / "x", **changes))


def test_settings_of_the_wild_are_read_as_peft_reads_them(tmp_path: Path) -> None:
    adapter = read_adapter(_copy(tmp_path / "x", r=..., lora_alpha=None, init_lora_weights="eva"))
    assert (adapter.rank, adapter.alpha) == (8, 8)
    assert adapter.scaling("model.decoder.layers.0.fc1") == 1.0


def test_an_adapter_without_weights_is_incomplete(tmp_path: Path) -> None:
    folder = _copy(tmp_path / "x")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"adapter_config\.json without adapter_model\."):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda state: state | {"base_model.model.x.weight": torch.zeros(1)},
            r"adapts what its base has not: 1 tensor missing: x\.weight",
        ),
        (
            lambda state: state | {"base_model.model.x.lora_A.weight": torch.zeros(4, 16)},
            r"adapts what its base has not: 1 tensor missing: x\.weight: give the base",
        ),
        (
            lambda state: state | {"base_model.model.model.shared.weight": torch.zeros(3, 16)},
            r"makes model\.shared\.weight \[3, 16\], its base has \[189, 16\]: give the base that",
        ),
        (
            lambda state: {key: x[:, :3] for key, x in state.items()},
            r"adapts .* of rank 4, the base has \[16, 16\]: give the base that it was trained on",
        ),
        (
            lambda state: {key: x for key, x in state.items() if "lora_B" in key},
            r"by \[16, 4\] times \[0\] of rank 4, the base has",
        ),
    ],
)
def test_an_adapter_of_another_base_is_refused(
    tmp_path: Path, change: Callable[[State], State], expected: str
) -> None:
    folder = _copy(tmp_path / "x")
    path = folder / "adapter_model.safetensors"
    state = {key: x.contiguous() for key, x in change(load_file(path)).items()}
    path.unlink()
    save_file(state, path)
    with pytest.raises(CheckpointError, match=expected):
        read_tensors(open_checkpoint(str(WRITTEN / "tied" / "base"), adapter=str(folder)))


@pytest.mark.parametrize("ids", [[7], [7, 9, 11], [7, 5000]])
def test_trained_tokens_must_fit_the_base(tmp_path: Path, ids: list[int]) -> None:
    folder = _copy(tmp_path / "x", "tied/tokens", trainable_token_indices=ids)
    with pytest.raises(CheckpointError, match=rf"replaces {len(ids)} rows of model\.shared\."):
        read_tensors(open_checkpoint(str(WRITTEN / "tied" / "base"), adapter=str(folder)))


def test_parts_that_are_not_merged_here_are_named(tmp_path: Path) -> None:
    def refused(name: str, change: Callable[[State], State], expected: str) -> None:
        folder = _copy(tmp_path / name, f"tied/{name}")
        path = folder / "adapter_model.safetensors"
        state = change(load_file(path))
        path.unlink()
        save_file(state, path)
        with pytest.raises((UnsupportedError, CheckpointError), match=expected):
            read_tensors(open_checkpoint(str(WRITTEN / "tied" / "base"), adapter=str(folder)))

    stack = "base_model.model.model.decoder.embed_tokens"
    length = {f"{stack}.lora_magnitude_vector": torch.zeros(16)}
    refused("embedding", lambda state: state | length, "has DoRA on .*embed_tokens.weight, an embe")
    factor = {f"{stack}.lora_embedding_A": torch.zeros(2, 189)}
    refused("stack-tokens", lambda state: state | factor, "has LoRA and trained tokens on model.de")


def test_an_adapters_bias_needs_one_in_the_base(tmp_path: Path) -> None:
    folder = _copy(tmp_path / "x", "bigbird/attention")
    path = folder / "adapter_model.safetensors"
    state = load_file(path)
    name = next(key for key in state if "self_attn.q_proj.lora_B" in key)
    state[name.replace(".weight", ".bias")] = torch.zeros(16)
    path.unlink()
    save_file(state, path)
    with pytest.raises(CheckpointError, match=r"adds to .*q_proj\.bias, which its base has not"):
        read_tensors(open_checkpoint(str(WRITTEN / "bigbird" / "base"), adapter=str(folder)))


def test_a_whole_model_and_an_adapter_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    folder = _copy(tmp_path / "x")
    for path in (WRITTEN / "tied" / "base").iterdir():
        shutil.copyfile(path, folder / path.name)
    with pytest.raises(CheckpointError, match=r"holds a whole model and an adapter \(adapter"):
        open_checkpoint(str(folder))
    (folder / "adapter_model.safetensors").unlink()
    [note] = open_checkpoint(str(folder)).notes
    assert note.startswith("adapter_config.json is left alone")


def test_adapter_takes_an_adapter() -> None:
    base = str(WRITTEN / "tied" / "base")
    with pytest.raises(CheckpointError, match=r"base has no adapter_config\.json, expected the"):
        open_checkpoint(base, adapter=base)
