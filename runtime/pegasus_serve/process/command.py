"""pegasus-serve: bundles over HTTP."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pegasus_runtime.command_line.messages import note
from pegasus_runtime.command_line.script import run_script
from pegasus_runtime.commands.console import run_command
from pegasus_runtime.errors import OptionsError
from pegasus_serve.process.arguments import COMMAND, make_parser

if TYPE_CHECKING:
    from pegasus_serve.served.models import Model
    from pegasus_serve.settings import Settings

__all__ = ["main"]

TOKEN_VARIABLE = "PEGASUS_SERVE_TOKEN"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(COMMAND, lambda: _run(make_parser().parse_args(argv)))


def _run(arguments: argparse.Namespace) -> int:
    try:
        from pegasus_serve.app import make_app, serving_of
        from pegasus_serve.process.server import open_socket, run_server
    except ModuleNotFoundError as err:
        raise OptionsError(
            f"{err.name} is not installed, which serving needs: pip install 'pegasus-edge[serve]'"
        ) from err
    settings = _read_settings(arguments)
    models = _name_models(arguments, settings)
    if settings.token is None and not _is_loopback(arguments.host):
        note(
            COMMAND,
            f"warning: {arguments.host} can be reached from other computers, and no token is set: "
            f"set {TOKEN_VARIABLE} or --token-file, or keep to 127.0.0.1 behind a proxy that asks",
        )
    try:
        listening = open_socket(arguments.host, arguments.port)
    except OSError as err:
        raise OptionsError(
            f"cannot listen on {arguments.host}:{arguments.port}: {err.strerror or err}: "
            "name another --port or --host, or end what listens there"
        ) from err
    app = make_app(models, settings, on_failed=lambda error: None)  # it is raised below
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    address = f"http://{host}:{listening.getsockname()[1]}"
    told = {"address": address, "models": list(models)}
    run_server(app, listening, on_start=lambda: serving_of(app).log.event("listening", told))
    return 0


def _read_settings(arguments: argparse.Namespace) -> Settings:
    from pegasus_serve.settings import Settings

    mib = 2**20
    return Settings(
        max_body_bytes=arguments.max_body_mib * mib,
        max_body_total_bytes=max(256, arguments.max_body_mib) * mib,
        max_documents=arguments.max_documents,
        max_beams=arguments.max_beams,
        max_new_tokens=arguments.max_new_tokens,
        max_queue=arguments.max_queue,
        max_wait_ms=arguments.max_wait_ms,
        batch_size=arguments.batch_size,
        max_requests=arguments.max_requests,
        max_connections=arguments.max_connections,
        timeout_s=min(arguments.timeout, arguments.max_timeout),
        max_timeout_s=arguments.max_timeout,
        grace_s=arguments.grace,
        token=_read_token(arguments.token_file),
        allow_origins=tuple(arguments.allow_origin or ()),
    )


def _name_models(arguments: argparse.Namespace, settings: Settings) -> dict[str, Model]:
    """Raises: BundleError for a folder that is no bundle; OptionsError for two of one name."""
    from pegasus_serve.served.models import (
        LoadOptions,
        Model,
        check_source,
        load_served,
        split_name,
    )

    options = LoadOptions(
        precision=arguments.precision,
        revision=arguments.revision,
        provider=arguments.provider,
        threads=arguments.threads,
        kernel_cache=arguments.kernel_cache,
        check_hashes=arguments.check_hashes,
        newlines=arguments.newlines,
        max_unknown=arguments.max_unknown,
    )
    models: dict[str, Model] = {}
    for argument in arguments.bundles:
        name, source = split_name(argument)
        if name in models:
            raise OptionsError(
                f"two bundles are named {name}: give one another name, as in other={source}"
            )
        models[name] = Model(
            name,
            partial(load_served, source, options, settings),
            manifest=check_source(source),
        )
    return models


def _read_token(file: Path | None) -> str | None:
    """From a file, or from the environment. Raises: OptionsError."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "not UTF-8"
        raise OptionsError(f"{file}: the token cannot be read: {reason}: check the path") from err


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(run_script(COMMAND, "pegasus_serve.process.command"))
