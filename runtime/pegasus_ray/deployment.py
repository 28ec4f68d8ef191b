"""pegasus-serve as a deployment of Ray Serve: replicas come and go with what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pegasus_ray.bundle_source import BundleSource, StorageOptions, find_source
from pegasus_ray.fetch_bundle import fetch_bundle
from pegasus_ray.import_ray import import_ray_serve
from pegasus_ray.resources import checked_gpus, threads_for
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.stream import check_count
from pegasus_runtime.tokenization.tokenizer import Newlines

if TYPE_CHECKING:
    import ray.serve
    from fastapi import FastAPI

    from pegasus_serve.models import LoadOptions
    from pegasus_serve.settings import Settings

__all__ = ["build_app", "make_deployment"]

_NAME = "pegasus-edge"
_UNTIL_KILLED_S = 5.0
"""After the time that a replica has for what runs."""


def make_deployment(
    models: Mapping[str, Path | str],
    settings: Settings | None = None,
    *,
    min_replicas: int = 1,
    max_replicas: int = 1,
    requests_per_replica: int = 16,
    num_cpus: float = 1,
    num_gpus: float = 0,
    precision: str | None = None,
    provider: str = "auto",
    newlines: Newlines = "hf",
    storage_options: StorageOptions | None = None,
) -> ray.serve.Application:
    """For `serve.run`: bundles by their names, over the HTTP interface of pegasus-serve.

    Each replica loads all bundles, joins its requests in batches of its own, and is ready when it
    is loaded. What it refuses for a full queue, it refuses itself, with a time to try again.

    models: a name for each bundle; which is a folder that all nodes have, a URI of fsspec's, or a
    name of a hub, see `summarize_dataset`. Each node is held to the bundle that the driver sees.
    settings: of each replica; of the connections, which are Ray's, nothing holds. When a replica
    ends, it has settings.grace_s for what runs.
    min_replicas, max_replicas: Ray Serve starts and ends replicas, so that about
    requests_per_replica are worked on by each: as many as a batch takes.
    num_cpus, num_gpus: of each replica, whose engines have as many threads as it has CPUs.
    precision, provider, newlines: see `Summarizer.load`. storage_options: what fsspec opens all
    URIs with.

    Raises: BundleError, OptionsError, EngineError where Ray is missing.

    >>> from ray import serve                                # doctest: +SKIP
    >>> serve.run(make_deployment({"xsum": "s3://bucket/xsum"}, max_replicas=8))
    """
    from pegasus_serve.models import LoadOptions
    from pegasus_serve.settings import Settings

    serve = import_ray_serve()
    if not models:
        raise OptionsError("models are none, expected a name and a bundle: give {'xsum': FOLDER}")
    for name, count in (
        ("max_replicas", max_replicas),
        ("requests_per_replica", requests_per_replica),
    ):
        check_count(name, count)
    if min_replicas != 0:  # all may end while nobody asks
        check_count("min_replicas", min_replicas)
    if min_replicas > max_replicas:
        raise OptionsError(
            f"min_replicas is {min_replicas}, expected at most max_replicas, which is "
            f"{max_replicas}: lower it, or raise that"
        )
    settings = settings or Settings()
    build = _builder(
        {name: _source(bundle, storage_options) for name, bundle in models.items()},
        settings,
        LoadOptions(
            precision=precision,
            provider=provider,
            threads=threads_for(num_cpus),
            newlines=newlines,
        ),
    )
    deployment = serve.deployment(
        serve.ingress(build)(),
        name=_NAME,
        ray_actor_options={"num_cpus": num_cpus, "num_gpus": checked_gpus(num_gpus)},
        max_ongoing_requests=settings.max_requests,
        max_queued_requests=settings.max_requests,
        autoscaling_config={
            "min_replicas": min_replicas,
            "max_replicas": max_replicas,
            "target_ongoing_requests": requests_per_replica,
        },
        graceful_shutdown_timeout_s=settings.grace_s + _UNTIL_KILLED_S,
    )
    application: ray.serve.Application = deployment.bind()
    return application


def _source(bundle: Path | str, storage_options: StorageOptions | None) -> BundleSource:
    is_uri = isinstance(bundle, str) and "://" in bundle
    return find_source(bundle, storage_options=storage_options if is_uri else None)[0]


def _builder(
    sources: Mapping[str, BundleSource], settings: Settings, options: LoadOptions
) -> Callable[[], FastAPI]:
    """A function, which Ray Serve calls in each replica; an object would be an app to it."""

    def build() -> FastAPI:
        return build_app(sources, settings, options)

    return build


def build_app(
    sources: Mapping[str, BundleSource], settings: Settings, options: LoadOptions
) -> FastAPI:
    """The app of a replica, all of its bundles loaded.

    Raises: BundleError for one that cannot be had, or is not the driver's; and what loading raises.
    """
    from pegasus_serve.app import make_app
    from pegasus_serve.models import Model, load_served

    models = {}
    for name, source in sources.items():
        place = fetch_bundle(source)
        if source.manifest_sha256 is not None:
            open_bundle(place, manifest_sha256=source.manifest_sha256)
        models[name] = Model(name, partial(load_served, str(place), options, settings))
        models[name].load()
    return make_app(models, settings)
