from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pegasus_ray.bundle_source import BundleSource, find_source
from pegasus_ray.deployment import build_app, make_deployment
from pegasus_ray.work import Loading
from pegasus_runtime import Summarizer
from pegasus_runtime.errors import BundleError, OptionsError
from pegasus_serve.app import serving_of
from pegasus_serve.served.models import LoadOptions
from pegasus_serve.settings import Settings

TEXT = "the cat sat"


def test_a_replica_is_pegasus_serve_with_its_bundles_loaded(
    tiny_bundle: Callable[..., Path],
) -> None:
    source, _ = find_source(tiny_bundle())
    app = build_app({"tiny": source}, Settings(), LoadOptions(threads=1))
    serving = serving_of(app)
    assert serving.is_ready

    async def ask() -> Any:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://replica") as client:
            body = {"inputs": TEXT, "parameters": {"num_beams": 1, "max_length": 8}}
            return (await client.post("/v1/summarize", json=body)).json()

    answer = asyncio.run(ask())
    serving.close()
    with Summarizer.load(tiny_bundle(), threads=1) as summarizer:
        from pegasus_runtime import GenerationOptions

        expected = summarizer.summarize(TEXT, GenerationOptions(num_beams=1, max_length=8))
    assert [each["text"] for each in answer["results"]] == [expected.text]


def test_a_replica_with_another_bundle_is_none(tiny_bundle: Callable[..., Path]) -> None:
    source = BundleSource(place=tiny_bundle(), is_uri=False, manifest_sha256="0" * 64)
    with pytest.raises(BundleError, match="not the bundle that was asked for"):
        build_app({"tiny": source}, Settings(), LoadOptions())


def test_storage_options_are_those_of_uris_alone(tiny_bundle: Callable[..., Path]) -> None:
    models = {"one": f"file://{tiny_bundle()}", "two": "hf://owner/name", "three": tiny_bundle()}
    make_deployment(models, storage_options={"auto_mkdir": False})


def test_ray_serve_is_told_how_many_and_how_long(tiny_bundle: Callable[..., Path]) -> None:
    application = make_deployment(
        {"tiny": tiny_bundle()},
        Settings(max_requests=7, grace_s=9),
        min_replicas=0,
        max_replicas=5,
        requests_per_replica=3,
        num_cpus=2,
        num_gpus=0.5,
    )
    deployment = application._bound_deployment
    told = deployment._deployment_config
    scaling = told.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas) == (0, 5)
    assert scaling.target_ongoing_requests == 3
    assert (told.max_ongoing_requests, told.max_queued_requests) == (7, 7)
    assert told.graceful_shutdown_timeout_s > 9
    assert deployment.ray_actor_options["num_cpus"] == 2
    assert deployment.ray_actor_options["num_gpus"] == 0.5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"models": {}}, "models are none, expected a name and a bundle"),
        ({"min_replicas": 3, "max_replicas": 2}, "min_replicas is 3, expected at most max_rep"),
        ({"min_replicas": -1}, "min_replicas is -1, expected an integer from 1 up"),
        ({"max_replicas": 0}, "max_replicas is 0, expected an integer from 1 up"),
        ({"requests_per_replica": 0}, "requests_per_replica is 0, expected an integer"),
        ({"num_cpus": 0}, "num_cpus is 0, expected a number above 0"),
        ({"loading": Loading(max_unknown=0.5)}, "max_unknown is of datasets, a deployment has"),
        ({"num_gpus": -1}, "num_gpus is -1, expected a number from 0 up"),
    ],
)
def test_what_cannot_be_is_refused(
    tiny_bundle: Callable[..., Path], given: dict[str, Any], message: str
) -> None:
    models = given.pop("models", {"tiny": tiny_bundle()})
    with pytest.raises(OptionsError, match=message):
        make_deployment(models, **given)
