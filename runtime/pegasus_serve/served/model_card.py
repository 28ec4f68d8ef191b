"""What /v1/models says of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from pegasus_runtime.bundle import Manifest
from pegasus_serve.served.models import Model
from pegasus_serve.settings import Settings

__all__ = ["describe_model", "describe_settings"]


def describe_model(model: Model) -> Mapping[str, object]:
    """Name, whether it is loaded, and, as soon as they are known, task, precision and so on."""
    manifest = model.manifest
    known = {} if manifest is None else _describe_manifest(manifest)
    return {"name": model.name, "ready": model.served is not None, **known}


def describe_settings(settings: Settings) -> Mapping[str, object]:
    """The limits of a request that are the server's."""
    names = (
        "max_body_bytes",
        "max_documents",
        "max_beams",
        "max_new_tokens",
        "timeout_s",
        "max_timeout_s",
    )
    return {name: getattr(settings, name) for name in names}


def _describe_manifest(manifest: Manifest) -> dict[str, object]:
    described: dict[str, object] = {
        "task": manifest.task,
        "architecture": manifest.architecture.architecture,
        "target": manifest.target,
        "precision": manifest.precision,
        "source": manifest.source.name.rpartition("/")[2],
        "limits": asdict(manifest.limits),
        "defaults": dict(manifest.generation),
    }
    if manifest.classifier is not None:
        described["labels"] = list(manifest.classifier.labels)
    return described
