"""pegasus-serve as a deployment of Ray Serve: replicas come and go with what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pegasus_ray.bundle_source import BundleSource, StorageOptions, find_source, is_uri
from pegasus_ray.fetch_bundle import fetch_bundle
from pegasus_ray.import_ray import import_ray_serve
from pegasus_ray.resources import checked_gpus
from pegasus_ray.work import Loading, with_threads
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.stream import check_count

if TYPE_CHECKING:
    import ray.serve
    from fastapi import FastAPI

    from pegasus_serve.served.models import LoadOptions
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
    loading: Loading | None = None,
    storage_options: StorageOptions | None = None,
) -> ray.serve.Application:
    """For `serve.run`: bundles by their names, over the HTTP interface of pegasus-serve.

    Each replica loads all bundles, and joins its requests in batches of its own.

    models: a name for each bundle, and where it is, see `summarize_dataset`. Each node is held to
    the bundle that the driver sees. storage_options: what fsspec opens all URIs with.
    settings: of each replica, which has grace_s for what runs when it is to end; what they say of
    connections holds nothing, as these are Ray's.
    min_replicas, max_replicas: Ray Serve starts and ends replicas, so that each works on about
    requests_per_replica: as many as a batch takes.
    num_cpus, num_gpus: of each replica, whose engines have a thread for each CPU. loading: what
    else the bundles are loaded with; max_unknown is of datasets only.

    Raises: BundleError, OptionsError, EngineError where Ray is missing.

    >>> ray.serve.run(make_deployment({"xsum": "s3://bucket/xsum"}))     # doctest: +SKIP
    """
    from pegasus_serve.settings import Settings

    serve = import_ray_serve()
    _check_counts(min_replicas, max_replicas, requests_per_replica)
    settings = settings or Settings()
    build = _builder(_sources(models, storage_options), settings, _load_options(loading, num_cpus))
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


def _check_counts(min_replicas: int, max_replicas: int, requests_per_replica: int) -> None:
    """Raises: OptionsError."""
    check_count("max_replicas", max_replicas)
    check_count("requests_per_replica", requests_per_replica)
    if min_replicas != 0:  # all may end while nobody asks
        check_count("min_replicas", min_replicas)
    if min_replicas > max_replicas:
        raise OptionsError(
            f"min_replicas is {min_replicas}, expected at most max_replicas, which is "
            f"{max_replicas}: lower it, or raise that"
        )


def _sources(
    models: Mapping[str, Path | str], storage_options: StorageOptions | None
) -> dict[str, BundleSource]:
    """Raises: BundleError, OptionsError."""
    if not models:
        raise OptionsError("models are none, expected a name and a bundle: give {'xsum': FOLDER}")
    found = {}
    for name, bundle in models.items():
        options = storage_options if is_uri(bundle) else None
        found[name] = find_source(bundle, storage_options=options)[0]
    return found


def _load_options(loading: Loading | None, num_cpus: float) -> LoadOptions:
    """Raises: OptionsError."""
    from pegasus_serve.served.models import LoadOptions

    told = with_threads(loading, num_cpus)
    if told.max_unknown is not None:
        raise OptionsError("max_unknown is of datasets, a deployment has none: leave it out")
    return LoadOptions(
        precision=told.precision,
        provider=told.provider,
        threads=told.threads,
        newlines=told.newlines,
    )


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
    from pegasus_serve.served.models import Model, load_served

    models = {}
    for name, source in sources.items():
        place = fetch_bundle(source)
        if source.manifest_sha256 is not None:
            open_bundle(place, manifest_sha256=source.manifest_sha256)
        models[name] = Model(name, partial(load_served, str(place), options, settings))
        models[name].load()
    return make_app(models, settings)
