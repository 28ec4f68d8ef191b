from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pegasus_ray.bundle_source import find_source
from pegasus_ray.fetch_bundle import fetch_bundle
from pegasus_ray.resources import threads_for
from pegasus_ray.summarize_batches import SummarizeBatches
from pegasus_ray.summarize_dataset import summarize_dataset
from pegasus_ray.work import Columns, Loading, Work
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.errors import BundleError, InputError, OptionsError

TEXTS = ["the cat sat", "a dog ran far away from the house", "birds"]
GREEDY = GenerationOptions(num_beams=1, max_length=8)


@pytest.fixture
def work(tiny_bundle: Callable[..., Path]) -> Callable[..., Work]:
    def make(**changed: Any) -> Work:
        fields: dict[str, Any] = {
            "source": find_source(tiny_bundle())[0],
            "loading": Loading(threads=1),
            "columns": Columns(details="details"),
            "options": GREEDY,
        }
        return Work(**{**fields, **changed})

    return make


def test_rows_keep_order_and_columns_and_failures_are_rows(
    work: Callable[..., Work], tiny_bundle: Callable[..., Path]
) -> None:
    batches = SummarizeBatches(pickle.loads(pickle.dumps(work())))
    texts = [TEXTS[0], "", None, TEXTS[1], "word " * 5000, TEXTS[2]]
    table = pa.table({"id": [5, 4, 3, 2, 1, 0], "text": texts})
    result = batches(table)
    assert result.select(["id", "text"]) == table
    with Summarizer.load(tiny_bundle(), threads=1) as local:
        expected = local.summarize(TEXTS, GREEDY)
    rows = result.to_pylist()
    done = [rows[0], rows[3], rows[5]]
    assert [row["summary"] for row in done] == [each.text for each in expected]
    assert [row["details"]["score"] for row in done] == [each.score for each in expected]
    assert [row["details"]["num_tokens"] for row in done] == [len(x.token_ids) for x in expected]
    assert not any(row["details"]["looks_like_html"] for row in done)
    assert [row["details"]["unknown_share"] for row in done] == [x.unknown_share for x in expected]
    assert [row["error"] is None for row in rows] == [True, False, False, True, False, True]
    failed = [rows[1], rows[2], rows[4]]
    assert all(row["summary"] is None and row["details"] is None for row in failed)
    assert "empty" in rows[1]["error"]
    assert "NoneType" in rows[2]["error"]
    assert "tokens" in rows[4]["error"]


def test_types_do_not_depend_on_the_rows(work: Callable[..., Work]) -> None:
    batches = SummarizeBatches(work())
    tables = [batches(pa.table({"text": pa.array(x, pa.string())})) for x in ([], [""], TEXTS)]
    assert tables[0].schema == tables[1].schema == tables[2].schema
    assert [str(each) for each in tables[0].schema.types[:3]] == ["string"] * 3


def test_what_is_asked_for_is_done(work: Callable[..., Work]) -> None:
    cut = SummarizeBatches(work(long="truncate"))(pa.table({"text": ["word " * 5000, "word"]}))
    assert [row["details"]["truncated"] for row in cut.to_pylist()] == [True, False]
    windows = SummarizeBatches(work(long="chunk"))(pa.table({"text": ["word " * 5000, "word"]}))
    assert [row["error"] for row in windows.to_pylist()] == [None, None]
    first, second = (row["details"] for row in windows.to_pylist())
    assert first["num_windows"] > 1
    assert (second["num_windows"], first["truncated"]) == (0, False)
    with pytest.raises(InputError, match="document 1: text is empty"):
        SummarizeBatches(work(errors="raise"))(pa.table({"text": ["word", ""]}))
    plain = SummarizeBatches(work(columns=Columns(text="body", summary="short", error="why")))
    assert plain(pa.table({"body": ["word"]})).column_names == ["body", "short", "why"]


def test_the_engine_has_the_threads_and_the_bundle_the_hash_that_it_was_told(
    work: Callable[..., Work],
) -> None:
    told = work(loading=Loading(threads=2, newlines="original", max_unknown=0.5))
    origin = SummarizeBatches(told).summarizer.origin
    assert origin is not None
    assert origin.keywords["threads"] == 2
    assert origin.keywords["newlines"] == "original"
    assert origin.keywords["max_unknown"] == 0.5
    assert origin.keywords["manifest_sha256"] == told.source.manifest_sha256


def test_a_bundle_that_was_altered_in_the_cache_is_refused(
    tiny_bundle: Callable[..., Path],
    work: Callable[..., Work],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PEGASUS_EDGE_CACHE", str(tmp_path))
    source, _ = find_source(f"file://{tiny_bundle()}")
    SummarizeBatches(work(source=source))
    weights = Path(fetch_bundle(source)) / "weights.bin"
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(BundleError, match=r"was altered.*: remove that folder from the node"):
        SummarizeBatches(work(source=source))


def test_options_that_the_bundle_cannot_meet_fail_before_a_document_is_read(
    work: Callable[..., Work],
) -> None:
    with pytest.raises(OptionsError, match="max_length"):
        SummarizeBatches(work(options=GenerationOptions(max_length=10**6)))
    with pytest.raises(OptionsError, match="token_scores and long='chunk' do not go together"):
        SummarizeBatches(work(options=GenerationOptions(token_scores=True), long="chunk"))


def test_columns_are_checked() -> None:
    columns = Columns(text="body", details="details")
    columns.check(["id", "body"])
    with pytest.raises(OptionsError, match="no column 'body', it has id, text: give text_column"):
        columns.check(["id", "text"])
    for name in ("summary", "error", "details"):
        with pytest.raises(OptionsError, match=f"has a column '{name}' already: give output_col"):
            columns.check(["body", name])
    with pytest.raises(OptionsError, match="two columns are called 'text'"):
        Columns(error="text")
    with pytest.raises(OptionsError, match="a column's name is '', expected a text"):
        Columns(summary="")


def test_work_is_checked(work: Callable[..., Work]) -> None:
    with pytest.raises(OptionsError, match="errors is 'skip'"):
        work(errors="skip")
    with pytest.raises(OptionsError, match="long is 'cut', expected 'error', 'truncate' or"):
        work(long="cut")
    with pytest.raises(OptionsError, match="batch_size is 0"):
        work(batch_size=0)


@pytest.mark.parametrize(("num_cpus", "threads"), [(0.25, 1), (1, 1), (1.5, 1), (4, 4), (7.9, 7)])
def test_threads_are_the_whole_cpus(num_cpus: float, threads: int) -> None:
    assert threads_for(num_cpus) == threads


@pytest.mark.parametrize("num_cpus", [0, -1, float("nan"), float("inf"), True, "2"])
def test_cpus_are_a_number_above_0(num_cpus: Any) -> None:
    with pytest.raises(OptionsError, match=r"num_cpus is .*, expected a number above 0"):
        threads_for(num_cpus)


class Recorded:
    """A dataset that says what it was asked for."""

    def __init__(self, names: list[str] | None = None) -> None:
        self.names = names
        self.asked: dict[str, Any] = {}

    def schema(self, fetch_if_missing: bool) -> Any:
        assert not fetch_if_missing
        return None if self.names is None else self

    def map_batches(self, what: type, **asked: Any) -> Any:
        assert what is SummarizeBatches
        self.asked = asked
        return self


def ask(tiny_bundle: Callable[..., Path], **given: Any) -> dict[str, Any]:
    dataset: Any = Recorded()
    summarize_dataset(dataset, tiny_bundle(), **given)
    return dict(dataset.asked)


def test_resources_threads_and_actors_are_asked_for(tiny_bundle: Callable[..., Path]) -> None:
    usual = ask(tiny_bundle)
    assert (usual["num_cpus"], usual["num_gpus"], usual["batch_size"]) == (1, None, 256)
    assert (usual["compute"].min_size, usual["compute"].max_size) == (1, float("inf"))
    asked = ask(tiny_bundle, num_cpus=4, num_gpus=0.5, rows=9, concurrency=(2, 3), batch_size=5)
    work = asked["fn_constructor_args"][0]
    assert (asked["num_cpus"], asked["num_gpus"], asked["batch_size"]) == (4, 0.5, 9)
    assert (asked["compute"].min_size, asked["compute"].max_size) == (2, 3)
    assert (work.loading.threads, work.batch_size, asked["batch_format"]) == (4, 5, "pyarrow")
    own = ask(tiny_bundle, num_cpus=4, loading=Loading(threads=2))["fn_constructor_args"][0]
    assert own.loading.threads == 2
    fixed = ask(tiny_bundle, concurrency=3)["compute"]
    assert (fixed.min_size, fixed.max_size) == (1, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"concurrency": 0}, "concurrency is 0, expected an integer from 1 up"),
        ({"concurrency": (3, 2)}, r"concurrency is \(3, 2\), expected the fewest actors, then"),
        ({"concurrency": (1, 2, 3)}, r"concurrency is \(1, 2, 3\), expected the fewest"),
        ({"concurrency": (0, 2)}, "concurrency is 0, expected an integer from 1 up"),
        ({"concurrency": (1, "2")}, "concurrency is '2', expected an integer from 1 up"),
        ({"num_gpus": -1}, "num_gpus is -1, expected a number from 0 up"),
        ({"num_cpus": 0}, "num_cpus is 0"),
        ({"rows": 0}, "rows is 0, expected an integer from 1 up"),
        ({"options": GenerationOptions(max_length=10**6)}, "max_length"),
        (
            {"options": GenerationOptions(token_scores=True), "long": "chunk"},
            "token_scores and long='chunk' do not go together",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_the_driver(
    tiny_bundle: Callable[..., Path], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionsError, match=message):
        ask(tiny_bundle, **given)


def test_known_columns_are_checked_by_the_driver(tiny_bundle: Callable[..., Path]) -> None:
    dataset: Any = Recorded(["text", "error"])
    with pytest.raises(OptionsError, match="has a column 'error' already"):
        summarize_dataset(dataset, tiny_bundle())


def python(program: str, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_USAGE_STATS_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_ray_is_loaded_when_it_is_needed_and_tells_nobody() -> None:
    program = (
        "import os, sys, pegasus_ray, pegasus_runtime;"
        "assert 'ray' not in sys.modules and 'fsspec' not in sys.modules;"
        "from pegasus_ray.import_ray import silence_ray; silence_ray();"
        "print(os.environ['RAY_USAGE_STATS_ENABLED'], os.getenv('RAY_USAGE_STATS_REPORT_URL'))"
    )
    assert python(program) == "0 http://127.0.0.1:9/"
    assert python(program, RAY_USAGE_STATS_ENABLED="0") == "0 http://127.0.0.1:9/"
    assert python(program, RAY_USAGE_STATS_ENABLED="1") == "1 None"
    assert python(program, RAY_USAGE_STATS_REPORT_URL="http://x/") == "0 http://x/"


def test_ray_reports_to_the_address_that_it_is_told() -> None:
    """A name of Ray's own, which may change."""
    program = (
        "from pegasus_ray.import_ray import silence_ray; silence_ray();"
        "from ray._common.usage import usage_lib;"
        "print(usage_lib.usage_stats_enabled(), usage_lib._usage_stats_report_url())"
    )
    assert python(program) == "False http://127.0.0.1:9/"


def test_a_missing_library_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['{0}'] = None\n"
        "from pegasus_ray import import_ray\n"
        "try: import_ray.import_{1}()\n"
        "except Exception as err: print(type(err).__name__, err)"
    )
    for library, name in (("ray", "ray_data"), ("ray", "ray_serve"), ("fsspec", "fsspec")):
        said = python(program.format(library, name))
        assert said.startswith(f"EngineError {library} ")
        assert said.endswith("pip install 'pegasus-edge[ray]'")
