"""Node and C++ run generate.onnx as Python does: the same tokens and text, and errors that help."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from examples.client import CLIENTS, Client, summarize_in_python
from examples.conftest import ClientCase

OPTIONS = {
    "num_beams": 3,
    "max_length": 24,
    "min_length": 4,
    "length_penalty": 0.75,
    "no_repeat_ngram_size": 2,
    "repetition_penalty": 2.0,  # so that rows have different lengths
    "num_return_sequences": 3,
    "early_stopping": 2,
}
TELEMETRY = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")

pytestmark = pytest.mark.parametrize(
    "client",
    [
        pytest.param(
            client, id=name, marks=pytest.mark.skipif(bool(client.lacks), reason=client.lacks)
        )
        for name, client in CLIENTS.items()
    ],
)


def changed_bundle(case: ClientCase, folder: Path, part: str, fields: Mapping[str, object]) -> Path:
    """A copy whose manifest says otherwise; what is None there is not said."""
    bundle = folder / "bundle"
    shutil.copytree(case.bundle, bundle)
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    changed = manifest[part] | fields
    dropped = {name for name, value in fields.items() if value is None}
    manifest[part] = {name: value for name, value in changed.items() if name not in dropped}
    (bundle / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    return bundle


@pytest.fixture
def article(tmp_path: Path) -> Path:
    path = tmp_path / "article.txt"
    path.write_text("The old miller sold a red boat. " * 40)
    return path


def test_tokens_and_texts_are_those_of_python_and_nobody_is_told(
    client: Client, client_case: ClientCase, tmp_path: Path
) -> None:
    """ONNX Runtime's telemetry would make folders in the home."""
    kept = {key: value for key, value in os.environ.items() if key not in TELEMETRY}
    environment = {**kept, "HOME": str(tmp_path)}
    expected = summarize_in_python(client_case.bundle, client_case.texts)
    found = client.summarize(client_case.bundle, client_case.files, environment=environment)
    assert found == expected
    for rows, others in zip(found, expected, strict=True):
        scores = [each.score for each in others]
        assert [each.score for each in rows] == pytest.approx(scores, abs=1e-4)
    assert list(tmp_path.iterdir()) == []


def test_options_are_those_of_the_graph_and_what_is_cut_keeps_its_end(
    client: Client, client_case: ClientCase, article: Path
) -> None:
    given = {name.replace("_", "-"): value for name, value in OPTIONS.items()}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    words[-1] = "never"  # of early_stopping
    files = (*client_case.files[:3], article)
    found = client.summarize(client_case.bundle, files, (*words, "--truncate"))
    texts = (*client_case.texts[:3], article.read_text())
    assert found == summarize_in_python(client_case.bundle, texts, **OPTIONS)
    assert [len(rows) for rows in found] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{empty}"], r"the text is empty"),
        (["{long}"], r"has \d+ tokens, the bundle takes \d+: pass --truncate"),
        (["{missing}"], r"missing\.txt"),
        (["{long}", "--num-beams", "many"], r"--num-beams is many, expected a"),
        (["{long}", "--num-beams", "2.5"], r"--num-beams is 2.5, expected an integer"),
        (["{long}", "--beams", "3"], r"--beams"),
        (["{long}", "--truncate", "--num-beams", "33"], r"num_beams is to be 1 to 32"),
        ([], r"usage: .*summarize.* BUNDLE FILE"),
    ],
)
def test_what_cannot_be_done_is_said_and_ends_in_an_error(
    words: list[str],
    message: str,
    client: Client,
    client_case: ClientCase,
    article: Path,
) -> None:
    empty, missing = article.with_name("empty.txt"), article.with_name("missing.txt")
    empty.write_text(" \n")
    names = {"empty": empty, "long": article, "missing": missing}
    ran = client.run(client_case.bundle, *(word.format(**names) for word in words))
    assert ran.returncode != 0
    assert re.search(message, ran.stderr + ran.stdout), ran.stderr


def test_a_bundle_without_the_graph_names_the_option(
    client: Client, client_case: ClientCase, article: Path, tmp_path: Path
) -> None:
    manifest = json.loads((client_case.bundle / "manifest.json").read_text("utf-8"))
    del manifest["graphs"]["generate"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest, indent=2), "utf-8")
    ran = client.run(tmp_path, article)
    assert ran.returncode == 1
    assert "has no graph that generates: use pegasus-export --generate" in ran.stderr


@pytest.mark.parametrize(
    "generation",
    [
        {"max_new_tokens": 6, "max_length": 24, "min_new_tokens": 4, "num_beams": 3},
        {"num_beams": 2, "early_stopping": True},
        {
            "task_specific_params": {"summarization": {"max_length": 9, "num_beams": 5}},
            "max_length": 14,
        },
    ],
)
def test_settings_of_the_bundle_mean_what_they_mean_to_the_runtime(
    generation: dict[str, Any], client: Client, client_case: ClientCase, tmp_path: Path
) -> None:
    absent = dict.fromkeys(["num_beams", "max_length", "min_length", "length_penalty"])
    bundle = changed_bundle(client_case, tmp_path, "generation", generation | absent | generation)
    expected = summarize_in_python(bundle, client_case.texts)
    assert client.summarize(bundle, client_case.files) == expected


def test_rows_that_stand_for_none_are_left_out(
    client: Client, client_case: ClientCase, tmp_path: Path
) -> None:
    options = {"num_beams": 4, "num_return_sequences": 4, "max_length": 2}
    words = ("--num-beams", "4", "--num-return-sequences", "4", "--max-length", "2")
    found = client.summarize(client_case.bundle, client_case.files, words)
    assert found == summarize_in_python(client_case.bundle, client_case.texts, **options)
    assert [len(rows) for rows in found] == [1] * len(found)


def test_where_no_summary_is_possible_it_is_an_error(
    client: Client, client_case: ClientCase, tmp_path: Path
) -> None:
    words = ["--num-beams", "2", "--max-length", "9", "--min-length", "9"]
    # As Node's own parser takes a number below 0.
    penalty = ["--length-penalty=-40"] if client is CLIENTS["node"] else ["--length-penalty", "-40"]
    ran = client.run(client_case.bundle, client_case.files[0], *words, *penalty)
    assert ran.returncode == 1
    assert "no summary is possible under these settings" in ran.stderr


def test_spaces_are_cleaned_up_where_the_checkpoint_asks_for_it(
    client: Client, client_case: ClientCase, tmp_path: Path
) -> None:
    bundle = changed_bundle(client_case, tmp_path, "tokenizer", {"clean_up_spaces": True})
    words = ("--num-beams", "5", "--num-return-sequences", "5")
    found = client.summarize(bundle, client_case.files, words)
    options = {"num_beams": 5, "num_return_sequences": 5}
    assert found == summarize_in_python(bundle, client_case.texts, **options)


@pytest.mark.parametrize(
    "changed", [{"kind": "wordpiece"}, {"added_tokens": [{"content": "[a]", "token_id": 120}]}]
)
def test_a_tokenizer_that_cpp_does_not_read_is_refused(
    changed: dict[str, Any], client: Client, client_case: ClientCase, tmp_path: Path
) -> None:
    if client is not CLIENTS["cpp"]:
        pytest.skip("of C++ alone")
    bundle = changed_bundle(client_case, tmp_path, "tokenizer", changed)
    ran = client.run(bundle, client_case.files[0])
    assert ran.returncode == 1
    assert "the bundle's tokenizer is not SentencePiece alone" in ran.stderr
