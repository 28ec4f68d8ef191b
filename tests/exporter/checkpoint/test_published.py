"""Configurations of published checkpoints: read as transformers reads them, none refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import transformers

from exporter.checkpoint.published import PUBLISHED, Published
from pegasus_export.checkpoint.config import PegasusConfig, read_config
from pegasus_export.checkpoint.config_fields import read_config_fields
from pegasus_export.checkpoint.defaults import clean_defaults
from pegasus_export.checkpoint.generation import read_generation
from pegasus_export.checkpoint.task_params import apply_task_params, list_task_params
from pegasus_export.checkpoint.token_ids import resolve_token_ids
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_options
from pegasus_runtime.search.settings import SearchLimits, SpecialTokens
from pegasus_runtime.search.unsupported import unsupported_defaults

PAGE = Path(__file__).parents[3] / "docs" / "checkpoints.md"
BEGIN, END = "<!-- published -->\n", "<!-- /published -->"
HOW = {"stored": "its file", "converter": "the converter's table", "described": "descriptions"}


def _write(folder: Path, published: Published) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(dict(published.config)))
    if published.generation is not None:
        text = json.dumps(dict(published.generation))
        (folder / "generation_config.json").write_text(text)
    return folder


def _read(folder: Path) -> tuple[PegasusConfig, dict[str, Any], tuple[str, ...]]:
    """Network, settings and notes."""
    fields = read_config_fields(folder / "config.json").values
    config = read_config(folder / "config.json")
    generation = read_generation(folder, fields).values
    cleaned = clean_defaults(
        generation, vocab_size=config.vocab_size, max_positions=config.max_position_embeddings
    )
    ids = resolve_token_ids(generation, config)
    assert unsupported_defaults(cleaned.values) == []
    _resolve(config, cleaned.values, generation)
    notes = (*config.notes, *cleaned.notes, *ids.notes)
    if tasks := list_task_params(fields):
        notes += (f"--task-params: {len(tasks)} tasks",)
    return config, cleaned.values, notes


def _resolve(
    config: PegasusConfig, defaults: Mapping[str, Any], generation: Mapping[str, object]
) -> None:
    tokens = resolve_token_ids(generation, config).tokens
    settings = resolve_options(
        GenerationOptions(),
        defaults,
        SpecialTokens(
            pad=tokens.pad_token_id,
            eos=tokens.eos_token_ids,
            decoder_start=tokens.decoder_start_token_id,
        ),
        SearchLimits(
            max_target_tokens=config.max_position_embeddings, vocab_size=config.vocab_size
        ),
    )
    assert settings.num_beams == defaults["num_beams"]


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda each: each.name)
def test_it_is_read_as_transformers_reads_it_and_runs(tmp_path: Path, published: Published) -> None:
    folder = _write(tmp_path, published)
    config, defaults, _ = _read(folder)
    network = transformers.AutoConfig.from_pretrained(folder)
    for name in (
        "vocab_size",
        "d_model",
        "encoder_layers",
        "decoder_layers",
        "encoder_attention_heads",
        "decoder_attention_heads",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
        "max_position_embeddings",
        "activation_function",
        "scale_embedding",
        "tie_word_embeddings",
    ):
        assert getattr(config, name) == getattr(network, name), name
    oracle = transformers.GenerationConfig.from_pretrained(
        folder, config_file_name="config.json", _from_model_config=True
    )
    for name, value in defaults.items():
        assert value == getattr(oracle, name), name


@pytest.mark.parametrize("task", list_task_params(PUBLISHED[12].config))
def test_settings_of_pegasus_larges_tasks_run(tmp_path: Path, task: str) -> None:
    large = PUBLISHED[12]
    assert large.name == "google/pegasus-large"
    folder = _write(tmp_path, large)
    config = read_config(folder / "config.json")
    generation = read_generation(folder, large.config).values
    generation, _ = apply_task_params(generation, large.config, task)
    assert generation["max_length"] == large.config["task_specific_params"][task]["max_length"]
    cleaned = clean_defaults(generation, vocab_size=96103, max_positions=1024)
    _resolve(config, cleaned.values, generation)


def _row(folder: Path, published: Published) -> str:
    config, defaults, notes = _read(_write(folder, published))
    layers = f"{config.encoder_layers} + {config.decoder_layers}"
    kinds = {"block-sparse": config.block_sparse, "block-local": config.block_local}
    attention = next((name for name, found in kinds.items() if found), "full")
    lengths = f"{defaults.get('min_length', 0)} to {defaults['max_length']}"
    cells = [
        published.name,
        f"{layers}, d {config.d_model}, {config.activation_function}, {attention}",
        str(config.max_position_embeddings),
        f"{defaults['num_beams']} beams, {lengths} tokens, penalty {defaults['length_penalty']}",
        "; ".join(notes) or "-",
        HOW[published.source],
    ]
    return f"| {' | '.join(cells)} |\n"


def test_the_page_has_them_all(tmp_path: Path) -> None:
    """On a difference, the message is the table as it should be."""
    head = "| checkpoint | network | positions | generates with | noted | known from |\n"
    rows = [_row(tmp_path / str(number), each) for number, each in enumerate(PUBLISHED)]
    table = head + "|---|---|---:|---|---|---|\n" + "".join(rows)
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == table, table
    assert len(PUBLISHED) >= 20
