"""What a bundle generates with: settled at export, as transformers has it, or refused by name."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.command.main import main
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.stages.defaults import fit_defaults, settle_defaults
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.bundle import Bundle, Limits, Task, open_bundle
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.sessions.ort.engine import OrtEngine

SOURCES = [[110, 131, 150, 160, 171, 1], [140, 120, 1]]


def _edit(path: Path, **changes: Any) -> None:
    """A change to ... removes the field."""
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not ...}))


def _checkpoint(folder: Path, *, config: dict[str, Any], **generation: Any) -> Path:
    write_tiny_checkpoint(folder)
    _edit(folder / "config.json", **config)
    _edit(folder / "generation_config.json", **generation)
    return folder


def _transformers(folder: Path, source: Sequence[int], **options: Any) -> list[int]:
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    mask = torch.ones(1, len(source), dtype=torch.long)
    found = model.generate(torch.tensor([source]), attention_mask=mask, **options)
    row: list[int] = found[0, 1:].tolist()
    return row


TASKS = {"summarization_short": {"max_length": 9, "num_beams": 2, "max_position_embeddings": 48}}


@pytest.mark.parametrize(
    ("config", "generation", "arguments", "noted"),
    [
        (
            {"task_specific_params": TASKS},
            {"max_length": 9, "num_beams": 2, "temperature": 0.0},
            ["--task-params", "summarization_short"],
            "note: of task_specific_params summarization_short, max_position_embeddings 48 is left",
        ),
        (
            {"activation_function": "quick_gelu"},
            {"eos_token_id": ..., "forced_eos_token_id": ..., "max_length": 12, "min_length": ...},
            [],
            "note: no eos_token_id among the generation settings: summaries go on to max_length",
        ),
        (
            {"activation_function": "mish", "num_attention_heads": 4},
            {"decoder_start_token_id": ..., "bos_token_id": 7, "early_stopping": 1},
            [],
            "note: config.json has num_attention_heads 4 and encoder_attention_heads 2",
        ),
    ],
    ids=["task", "no-eos", "start-of-bos"],
)
def test_a_bundle_has_the_tokens_that_its_files_ask_for(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    config: dict[str, Any],
    generation: dict[str, Any],
    arguments: list[str],
    noted: str,
) -> None:
    folder = _checkpoint(tmp_path / "checkpoint", config=config, **generation)
    output = tmp_path / "bundle"
    assert main(["--model", str(folder), "--output", str(output), *arguments]) == 0
    assert noted in capsys.readouterr().out
    with Summarizer.load(output) as summarizer:
        summarizer.warm_up()
        for options in ({}, {"num_beams": 4}, {"num_beams": 1}):
            found = summarizer.generate(SOURCES, GenerationOptions(**options))
            for source, hypotheses in zip(SOURCES, found, strict=True):
                expected = _transformers(folder, source, **options)
                assert list(hypotheses[0].token_ids) == expected, options


def test_the_original_settings_go_to_other_peoples_loaders(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path / "checkpoint", config={}, early_stopping=1, temperature=0.0)
    output = tmp_path / "bundle"
    arguments = ["--model", str(folder), "--output", str(output), "--target", "onnx", "--quiet"]
    assert main(arguments) == 0
    written = json.loads((output / "generation_config.json").read_text())
    assert (written["early_stopping"], written["temperature"]) == (1, 0.0)
    assert open_bundle(output).manifest.generation["early_stopping"] is False


@pytest.mark.parametrize(
    ("generation", "match"),
    [
        (
            {"guidance_scale": 1.5},
            "generates with guidance_scale, which pegasus-edge does not offer",
        ),
        ({"bad_words_ids": [[9999]]}, "settings that cannot run: bad_words_ids has token 9999"),
        ({"num_beams": 64}, "settings that cannot run: num_beams is 64, the bundle takes 32"),
        ({"num_return_sequences": 9}, "cannot run: num_return_sequences is 9, expected at most"),
    ],
)
@pytest.mark.parametrize("alone", [False, True])
def test_what_cannot_run_is_refused_in_fp32_too_and_before_torch_is_loaded(
    tmp_path: Path, generation: dict[str, Any], match: str, alone: bool
) -> None:
    folder = _checkpoint(tmp_path, config={}, **generation)
    if alone:
        settings = json.loads((folder / "generation_config.json").read_text())
        _edit(folder / "config.json", **settings)
        (folder / "generation_config.json").unlink()
    limits = Limits(max_source_tokens=96, max_target_tokens=96, max_beams=32)
    with pytest.raises((CheckpointError, UnsupportedError), match=match):
        _settle_and_fit(folder, limits)


def _settle_and_fit(folder: Path, limits: Limits) -> None:
    settled = settle_defaults(open_checkpoint(str(folder)), "summarization")
    fit_defaults(settled, "summarization", limits, clip=False)


NEVER = [  # what every call of the bundle would refuse, and how the export does
    ({"length_penalty": "x"}, "length_penalty is 'x', expected a finite number"),
    ({"length_penalty": 10**400}, "length_penalty is 1000.*, expected a finite number"),
    ({"length_penalty": float("nan")}, "length_penalty is nan, expected a finite number"),
    ({"length_penalty": True}, "length_penalty is True, expected a finite number"),
    ({"length_penalty": -1e308}, "length_penalty -1e.308, by which no summary"),
    ({"num_beams": 33}, "num_beams is 33, the bundle takes 32"),
    ({"num_beams": 0}, "num_beams is 0, expected an integer from 1 up"),
    ({"num_beams": 2.5}, "num_beams is 2.5, expected an integer from 1 up"),
    ({"num_beams": 1e18}, "num_beams is 1000000000000000000, the bundle takes 32"),
    ({"max_length": "24"}, "max_length is '24', expected an integer from 2 up"),
    ({"max_length": 1}, "max_length is 1, expected an integer from 2 up"),
    ({"max_new_tokens": -1}, "max_new_tokens is -1, expected an integer from 1 up"),
    ({"min_length": [5]}, r"min_length is \[5\], expected an integer from 0 up"),
    ({"min_new_tokens": "3"}, "min_new_tokens is '3', expected an integer from 0 up"),
    ({"early_stopping": "x"}, "early_stopping is 'x', expected true, false or"),
    ({"early_stopping": 2}, "early_stopping is 2, expected true, false or"),
    ({"no_repeat_ngram_size": 1.5}, "no_repeat_ngram_size is 1.5, expected an integer"),
    ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0, expected a number from 1e-06"),
    ({"repetition_penalty": 10**400}, "repetition_penalty is 1000.*, expected a number from"),
    ({"encoder_repetition_penalty": -1}, "encoder_repetition_penalty is -1, expected a number"),
    ({"bad_words_ids": [[]]}, r"bad_words_ids is \[\[\]\], expected a sequence of non-empty"),
    ({"bad_words_ids": [[9999]]}, "bad_words_ids has token 9999, the vocabulary ends at"),
    ({"bad_words_ids": [[each] for each in range(189)]}, "cannot run: .*: ban fewer tokens"),
    ({"suppress_tokens": ["a"]}, r"suppress_tokens is \['a'\], expected a sequence of token ids"),
    ({"suppress_tokens": [*range(1), *range(2, 189)]}, "cannot run: .*: ban fewer tokens"),
    ({"begin_suppress_tokens": [*range(189)]}, "cannot run: .*: ban fewer tokens"),
    ({"forced_bos_token_id": 9999}, "forced_bos_token_id has token 9999, the vocabulary"),
    ({"forced_bos_token_id": 5, "suppress_tokens": [5]}, "forced_bos_token_id 5 is in suppress_"),
    ({"forced_eos_token_id": 9999}, "forced_eos_token_id has token 9999, the vocabulary"),
    ({"forced_eos_token_id": -1}, "forced_eos_token_id is -1, expected an integer from 0 up"),
    ({"num_return_sequences": 0}, "num_return_sequences is 0, expected an integer from 1"),
    ({"num_return_sequences": 5}, "num_return_sequences is 5, expected at most num_beams 4"),
    ({"exponential_decay_length_penalty": [5]}, r"is \[5\], expected a pair of an integer and a"),
    ({"sequence_bias": [[[], 1.0]]}, "expected pairs of non-empty token ids and a number"),
    ({"sequence_bias": [[[t], float("-inf")] for t in range(189)]}, "run: .*: ban fewer tokens"),
    ({"do_sample": True, "temperature": 0.0}, "temperature is 0.0, expected a number from 1e-09"),
    ({"do_sample": True, "temperature": 10**400}, "temperature is 1000.*, expected a number"),
    ({"do_sample": True, "top_k": -1}, "top_k is -1, expected an integer from 0 up"),
    ({"do_sample": True, "top_p": "x"}, "top_p is 'x', expected a number from 0 to 1"),
    ({"do_sample": True, "min_p": 1.5}, "min_p is 1.5, expected a number from 0 to 1"),
    ({"do_sample": "x"}, "do_sample is 'x', expected True or False"),
    ({"eos_token_id": float("inf")}, "eos_token_id is inf, expected an id or a list of ids"),
    ({"pad_token_id": float("nan")}, "pad_token_id is nan, expected an id or a list of ids"),
    ({"decoder_start_token_id": [*range(99)]}, r"is \[0, 1, 2, .{,30}\.\.\., expected one id"),
]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path]) -> Bundle:
    return open_bundle(tiny_bundle())


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> OrtEngine:
    return OrtEngine(bundle, threads=1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose settings a test writes anew."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_tiny_checkpoint(folder)
    shutil.copy(folder / "generation_config.json", folder / "original.json")
    return folder


def _fit(checkpoint: Path, changes: dict[str, Any], task_params: str | None = None) -> Any:
    settings = json.loads((checkpoint / "original.json").read_text())
    params = {"own": changes} if task_params else {}
    _edit(checkpoint / "config.json", task_specific_params=params)
    (checkpoint / "generation_config.json").write_text(
        json.dumps(settings if task_params else settings | changes)
    )
    settled = settle_defaults(
        open_checkpoint(str(checkpoint)), "summarization", task_params=task_params
    )
    limits = Limits(max_source_tokens=96, max_target_tokens=96, max_beams=32)
    return settled, fit_defaults(settled, "summarization", limits, clip=False)


@pytest.mark.parametrize("task_params", [None, "own"])
@pytest.mark.parametrize(("changes", "match"), NEVER, ids=lambda value: str(value)[:40])
def test_what_every_call_would_refuse_is_refused_at_export(
    checkpoint: Path, changes: dict[str, Any], match: str, task_params: str | None
) -> None:
    with pytest.raises((CheckpointError, UnsupportedError), match=match) as caught:
        _fit(checkpoint, changes, task_params)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_length": 1e18},
        {"max_length": 2, "min_length": 50},
        {"max_new_tokens": 2**63},
        {"min_length": 10**18},
        {"early_stopping": 1},
        {"length_penalty": 1e18},
        {"temperature": 0.0},
        {"temperature": "x"},
        {"top_k": -1},
        {"num_beams": 32},
        {"num_beams": 1, "num_return_sequences": -1},
        {"no_repeat_ngram_size": 1, "suppress_tokens": [*range(10, 189)]},
        {"min_length": 90, "max_length": 96},
        {"bad_words_ids": [[1]]},
        {"suppress_tokens": [*range(2, 189)]},
        {"forced_eos_token_id": [], "eos_token_id": [1, 5]},
        {"do_sample": True, "top_p": 0.0, "typical_p": 1e-9},
        {"do_sample": True, "num_beams": 1, "top_k": 1},
    ],
    ids=str,
)
def test_what_is_not_refused_runs(
    checkpoint: Path, engine: OrtEngine, bundle: Bundle, changes: dict[str, Any]
) -> None:
    settled, defaults = _fit(checkpoint, changes)
    stored = json.loads(json.dumps(defaults))
    manifest = replace(bundle.manifest, generation=stored, token_ids=settled.tokens)
    settings = resolve_for_manifest(GenerationOptions(), manifest)
    for hypotheses in generate(engine, SOURCES, settings):
        assert hypotheses
        assert hypotheses[0].token_ids


@pytest.mark.parametrize(
    ("generation", "refused"),
    [
        ({"length_penalty": -300.0, "min_length": 0}, "length_penalty -300, .* of 2 tokens or"),
        (
            {"length_penalty": -10.0, "min_length": 20},
            "length_penalty -10, .* of 20 tokens or",
        ),
        ({"length_penalty": -29.0, "min_length": 0}, None),
        ({"length_penalty": -300.0, "num_beams": 1}, None),
        ({"length_penalty": -300.0, "min_length": 0, "max_length": 2}, None),
        ({"length_penalty": 300.0}, None),
    ],
)
def test_a_length_penalty_that_leaves_no_summary_is_refused(
    tmp_path: Path, generation: dict[str, Any], refused: str | None
) -> None:
    folder = _checkpoint(tmp_path, config={}, **generation)
    settled = settle_defaults(open_checkpoint(str(folder)), "summarization")
    limits = Limits(max_source_tokens=96, max_target_tokens=96, max_beams=32)
    if refused is None:
        fit_defaults(settled, "summarization", limits, clip=False)
        return
    with pytest.raises(UnsupportedError, match=refused):
        fit_defaults(settled, "summarization", limits, clip=False)


def test_task_params_are_for_tasks_that_generate(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture="PegasusModel")
    with pytest.raises(
        UnsupportedError, match="--task-params is for tasks that generate, this one"
    ):
        settle_defaults(open_checkpoint(str(folder)), "feature-extraction", task_params="x")


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"min_length": 30}, None),
        ({"suppress_tokens": list(range(189))}, "forced_eos_token_id 1 is suppressed"),
    ],
)
def test_settings_that_continue_no_prompt_are_refused(
    tmp_path: Path, changes: dict[str, Any], refused: str | None
) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture="PegasusForCausalLM")
    _edit(folder / "generation_config.json", **changes)
    settled = settle_defaults(open_checkpoint(str(folder)), "text-generation")
    limits = Limits(max_source_tokens=96, max_target_tokens=96, max_beams=32)
    if refused is None:
        fit_defaults(settled, "text-generation", limits, clip=False)
        return
    with pytest.raises(UnsupportedError, match=rf"generates with settings that cannot .*{refused}"):
        fit_defaults(settled, "text-generation", limits, clip=False)


def test_features_note_a_start_that_is_no_token(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(_checkpoint(tmp_path, config={"decoder_start_token_id": -1})))
    (note,) = settle_defaults(checkpoint, "feature-extraction").notes
    assert re.fullmatch(r"decoder_start_token_id is -1, expected .*: decoders start with 0", note)


def test_a_task_that_is_not_there_is_refused_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _checkpoint(tmp_path / "checkpoint", config={"task_specific_params": TASKS})
    output = tmp_path / "bundle"
    arguments = ["--model", str(folder), "--output", str(output), "--task-params", "summ"]
    assert main(arguments) == 2
    assert "config.json has summarization_short: did you mean" in capsys.readouterr().err
    assert not output.exists()
    settled = settle_defaults(open_checkpoint(str(folder)), "summarization")
    assert settled.notes == (
        "config.json has settings for tasks, --task-params: summarization_short",
    )


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("question-answering", "decoder_start_token_id"),
        ("text-classification", "decoder_start_token_id"),
        ("text-classification", "eos_token_id"),
    ],
)
def test_ids_of_config_json_are_refused_where_the_task_uses_them(
    tmp_path: Path, task: Task, name: str
) -> None:
    checkpoint = open_checkpoint(str(_checkpoint(tmp_path, config={name: -1})))
    settle_defaults(checkpoint, "feature-extraction")
    settle_defaults(checkpoint, "summarization")
    with pytest.raises(CheckpointError, match=rf"ids that {task} goes by.* {name} is -1, expect"):
        settle_defaults(checkpoint, task)
