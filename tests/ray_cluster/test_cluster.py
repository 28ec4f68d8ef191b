"""A cluster of two nodes on this computer, each with a cache of its own, as computers have."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pegasus_ray import make_deployment, summarize_dataset
from pegasus_ray.bundle_source import find_source
from pegasus_ray.summarize_batches import SummarizeBatches
from pegasus_ray.work import Columns, Loading, Work
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.bundle import MANIFEST_NAME
from ray_cluster.bundle_server import serve_folder

GREEDY = GenerationOptions(num_beams=1, max_length=8)
WORDS = ("the", "cat", "sat", "on", "mats", "while", "dogs", "ran", "far", "away", "from", "rain")
TEXTS = [" ".join(WORDS[i % 7 : i % 7 + 1 + i % 9]) + f" {i}" for i in range(48)]


@dataclass(frozen=True, kw_only=True)
class TwoNodes:
    """The cluster that is connected to: a head, and another node, of one CPU each."""

    cluster: Any
    folder: Path

    def caches(self) -> list[Path]:
        """Of the nodes."""
        return [self.folder / "cache0", self.folder / "cache1"]

    def add_node(self) -> Any:
        cache = {"PEGASUS_EDGE_CACHE": str(self.caches()[1])}
        return start(lambda: self.cluster.add_node(**node_arguments(), env_vars=cache))

    def said(self, words: str) -> int:
        """How often the actors said so, up to now."""
        logs = (self.folder / "session_latest" / "logs").glob("worker-*.err")
        return sum(path.read_text(errors="replace").count(words) for path in logs)


def node_arguments() -> dict[str, Any]:
    return {
        "num_cpus": 1,
        "object_store_memory": 100 * 2**20,
        "node_ip_address": "127.0.0.1",
        "include_dashboard": False,
        "include_log_monitor": False,
    }


def start(make: Callable[[], Any]) -> Any:
    """Ray gives a node 30 s to start, which are few where others keep the computer busy."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            return make()
    return make()


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Ray waits for ever where it lacks something."""

    def end(signum: int, frame: object) -> None:
        raise TimeoutError("the test has not ended in time")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(400)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[TwoNodes]:
    import ray
    from ray.cluster_utils import Cluster

    # Paths of sockets have room for 107 characters, which pytest's folders take up.
    with (
        tempfile.TemporaryDirectory(prefix="pr", dir="/tmp", ignore_cleanup_errors=True) as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        folder = Path(name)
        patch.delenv("ORT_DISABLE_TELEMETRY", raising=False)  # that actors see to it themselves
        patch.setenv("PEGASUS_EDGE_CACHE", str(folder / "cache0"))
        head = {**node_arguments(), "temp_dir": name, "no_monitor": True}
        before = signal.getsignal(signal.SIGTERM)  # ray.init leaves its own behind
        cluster = start(lambda: Cluster(initialize_head=True, head_node_args=head))
        nodes = TwoNodes(cluster=cluster, folder=folder)
        try:
            nodes.add_node()
            ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
            yield nodes
        finally:
            with contextlib.suppress(Exception):
                from ray import serve

                serve.shutdown()
            ray.shutdown()
            cluster.shutdown()
            signal.signal(signal.SIGTERM, before)


def dataset(texts: list[str], blocks: int) -> Any:
    import ray.data

    rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
    return ray.data.from_items(rows, override_num_blocks=blocks)


def local(
    bundle: Path, texts: list[str], options: GenerationOptions = GREEDY
) -> dict[int, tuple[str, float]]:
    with Summarizer.load(bundle, threads=1) as summarizer:
        return {
            number: (each.text, each.score)
            for number, each in enumerate(summarizer.summarize(texts, options))
        }


def test_a_dataset_is_summarised_as_it_is_locally_by_actors_that_load_once(
    two_nodes: TwoNodes, tiny_bundle: Callable[..., Path]
) -> None:
    texts = [*TEXTS, ""]
    before = two_nodes.said("pegasus-ray: loaded")
    summarized = summarize_dataset(
        dataset(texts, blocks=7).filter(lambda row: row["id"] != 3 and not 7 <= row["id"] < 21),
        tiny_bundle(),
        options=GREEDY,
        details_column="details",
        concurrency=2,  # which leaves the filter a CPU: one of them comes later
        rows=4,
    )
    rows = summarized.take_all()
    found = {row["id"]: (row["summary"], row["details"]["score"]) for row in rows if row["summary"]}
    expected = local(tiny_bundle(), TEXTS)
    kept = [number for number in expected if number != 3 and not 7 <= number < 21]
    assert found == {number: expected[number] for number in kept if expected[number][0]}
    assert Counter(row["id"] for row in rows) == dict.fromkeys([*kept, len(TEXTS)], 1)
    failed = [row for row in rows if row["error"] is not None]
    assert [(row["id"], row["summary"]) for row in failed] == [(len(TEXTS), None)]
    assert "empty" in failed[0]["error"]
    assert two_nodes.said("pegasus-ray: loaded") - before <= 2
    assert two_nodes.said(", 1 thread\n") >= 1


def test_each_node_fetches_a_bundle_once_and_refuses_another(
    two_nodes: TwoNodes, tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(tiny_bundle(), tmp_path / "bundle"))
    with serve_folder(tmp_path) as (address, reads):
        summarized = summarize_dataset(
            dataset(TEXTS, blocks=8),
            f"{address}/bundle",
            options=GREEDY,
            concurrency=(3, 3),  # of one node two at least
            num_cpus=0.5,
            rows=2,
        )
        rows = summarized.take_all()
        assert {row["id"]: row["summary"] for row in rows} == {
            number: text for number, (text, _) in local(bundle, TEXTS).items()
        }
        fetched = [path for cache in two_nodes.caches() for path in cache.glob("fetched/[0-9a-f]*")]
        folders = [path for path in fetched if path.is_dir()]
        assert reads["/bundle/weights.bin"] == len(folders) >= 1
        late = summarize_dataset(dataset(TEXTS, blocks=2), f"{address}/bundle", concurrency=1)
        for folder in folders:
            shutil.rmtree(folder)
        (bundle / MANIFEST_NAME).write_text((bundle / MANIFEST_NAME).read_text() + " ")
        with pytest.raises(Exception, match="not the bundle that was asked for"):
            late.take_all()


def test_an_actor_has_its_threads_and_tells_nobody(
    two_nodes: TwoNodes, tiny_bundle: Callable[..., Path]
) -> None:
    import ray

    @ray.remote(num_cpus=1)
    class Probe:
        def __init__(self, work: Work) -> None:
            self.batches = SummarizeBatches(work)

        def look(self) -> tuple[object, ...]:
            origin = self.batches.summarizer.origin
            assert origin is not None
            names = ("ORT_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED")
            return (origin.keywords["threads"], *(os.environ.get(name) for name in names))

    work = Work(source=find_source(tiny_bundle())[0], loading=Loading(threads=1), columns=Columns())
    assert ray.get(Probe.remote(work).look.remote()) == (1, "1", "0")


def ask(port: int, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    data = None if body is None else json.dumps(body)
    headers = {"content-type": "application/json"}
    connection.request("GET" if data is None else "POST", path, data, headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    is_json = (response.getheader("content-type") or "").startswith("application/json")
    return response.status, json.loads(text) if is_json else text


def test_a_deployment_answers_as_pegasus_serve_does(
    two_nodes: TwoNodes, tiny_bundle: Callable[..., Path]
) -> None:
    from ray import serve

    port = 18000 + os.getpid() % 4000
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    bundle = tiny_bundle()
    serve.run(make_deployment({"tiny": f"file://{bundle}"}, max_replicas=2, num_cpus=0.5))
    parameters = {"num_beams": 1, "max_length": 8}
    body = {"inputs": TEXTS[:3], "parameters": parameters}
    status, answer = ask(port, "/v1/summarize", body)
    expected = local(bundle, TEXTS[:3])
    assert (status, answer["model"]) == (200, "tiny")
    assert [each["text"] for each in answer["results"]] == [expected[i][0] for i in range(3)]
    status, answer = ask(port, "/v1/summarize", {"inputs": ""})
    assert (status, set(answer["error"])) == (422, {"code", "message"})
    status, events = ask(
        port, "/v1/summarize", {"inputs": TEXTS[0], "parameters": parameters, "stream": True}
    )
    assert status == 200
    assert "event: result" in events
    assert ask(port, "/ready")[0] == 200
    assert ask(port, "/nothing")[0] == 404
    serve.shutdown()


def test_a_node_is_lost_and_every_document_comes_out_once(
    two_nodes: TwoNodes, tiny_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray.data

    # Both actors are there when the first row is, however busy this computer.
    monkeypatch.setattr(ray.data.DataContext.get_current(), "wait_for_min_actors_s", 120)
    texts = TEXTS * 4
    options = GenerationOptions(num_beams=1, max_length=32, min_length=32)  # it takes a while
    before = two_nodes.said("pegasus-ray: loaded")
    summarized = summarize_dataset(
        dataset(texts, blocks=48), tiny_bundle(), options=options, concurrency=(2, 2), rows=4
    )
    stream = iter(summarized.iter_rows())
    rows = [next(stream)]
    assert two_nodes.said("pegasus-ray: loaded") - before == 2
    lost = next(iter(two_nodes.cluster.worker_nodes))
    two_nodes.cluster.remove_node(lost, allow_graceful=False)
    behind = list(stream)
    assert len(behind) > len(texts) / 2  # so there was work for both
    rows += behind
    assert Counter(row["id"] for row in rows) == dict.fromkeys(range(len(texts)), 1)
    expected = local(tiny_bundle(), texts, options)
    assert {row["id"]: row["summary"] for row in rows} == {
        number: text for number, (text, _) in expected.items()
    }
