"""pegasus-summarize --jsonl: from what was asked for to a run over records."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from pegasus_runtime.command_line.exit_codes import EXIT_INPUT
from pegasus_runtime.command_line.messages import note
from pegasus_runtime.command_line.signals import state as signal_state
from pegasus_runtime.commands.generation_options import read_options
from pegasus_runtime.commands.progress import ProgressLine, describe_progress
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.hub.find_bundle import find_bundle
from pegasus_runtime.records.fields import Fields
from pegasus_runtime.records.job import Answering, Job
from pegasus_runtime.records.jsonl_output import JsonlOutput, StdoutOutput
from pegasus_runtime.records.jsonl_source import JsonlSource
from pegasus_runtime.records.ledger import FailureFile, Failures, FailuresTold, Ledger, Output
from pegasus_runtime.records.parquet_output import ParquetOutput
from pegasus_runtime.records.parquet_source import ParquetSource
from pegasus_runtime.records.run import run_records
from pegasus_runtime.records.state import Counts, State
from pegasus_runtime.records.target import (
    Target,
    check_new_failures,
    failures_beside,
    is_parquet,
)
from pegasus_runtime.records.window import WINDOW_RECORDS, Source
from pegasus_runtime.records.workers import Workers, threads_each
from pegasus_runtime.version import __version__

__all__ = ["run_jsonl"]


def run_jsonl(command: str, arguments: argparse.Namespace) -> int:
    """The exit code; see `check_records_options` for what arguments there are.

    Raises: PegasusError, ResultError.
    """
    fields = _read_fields(arguments)
    job = _read_job(arguments, fields)
    files: list[str] = arguments.files or ["-"]
    window = arguments.window or WINDOW_RECORDS
    make = ParquetSource if is_parquet(files[0]) else JsonlSource
    source: Source[Any] = make(files, fields, window)
    target = _read_target(arguments)
    if target is not None:
        target.check(files, resume=arguments.resume, force=arguments.force)
    elif arguments.failures is not None:
        check_new_failures(arguments.failures)
    source.check()
    if "-" in files and sys.stdin is not None and sys.stdin.isatty():
        note(command, "reading standard input: a JSON object a line, then Ctrl-D")
    if target is not None and "-" not in files:
        signal_state.says = "interrupted: go on with --resume"
    with ExitStack() as stack:
        workers = arguments.workers or 1
        answering: Answering
        if workers > 1:
            several = stack.enter_context(Workers(job, workers))
            answering, stop = several, several.close
        else:
            answering, stop = stack.enter_context(job.open()), _nothing
        progress = ProgressLine(0)
        stack.callback(progress.clear)
        ledger = _open_ledger(
            command, progress, arguments, source, target, _describe_run(job, answering, arguments)
        )
        stack.enter_context(closing(ledger))
        on_done = _show(progress, source, ledger.state.position.records)
        run_records(source, answering, ledger, workers=workers, on_done=on_done, on_end=stop)
        progress.clear()
        _tell_end(command, ledger.state.counts, target)
    return EXIT_INPUT if ledger.state.counts.failed else 0


def _nothing() -> None:
    pass


def _read_fields(arguments: argparse.Namespace) -> Fields:
    return Fields(
        text=arguments.text_field or "text",
        summary=arguments.output_field or "summary",
        more=arguments.add or (),
    )


def _read_job(arguments: argparse.Namespace, fields: Fields) -> Job:
    options = read_options(arguments)
    fields.check(options)
    if arguments.resume and options.do_sample and options.seed is None:
        raise OptionsError(
            "--resume goes on as if nothing had happened, and samples are others each time: give "
            "--seed N, too"
        )
    threads = arguments.threads
    if threads is None and (arguments.workers or 1) > 1:
        threads = threads_each(arguments.workers)
    folder = find_bundle(  # downloaded or exported once, whoever loads it
        arguments.bundle,
        "summarization",
        precision=arguments.precision,
        revision=arguments.revision,
    )
    return Job(
        source=folder,
        precision=arguments.precision,
        provider=arguments.provider,
        threads=threads,
        kernel_cache=arguments.kernel_cache,
        check_hashes=arguments.check_hashes,
        manifest_sha256=arguments.manifest_sha256,
        newlines=arguments.newlines,
        parse_special_tokens=arguments.parse_special_tokens,
        max_unknown=arguments.max_unknown,
        options=options,
        decoder_prefix=arguments.decoder_prefix,
        long=arguments.long,
        batch_size=arguments.batch_size,
        fields=fields,
    )


def _read_target(arguments: argparse.Namespace) -> Target | None:
    output: Path | None = arguments.output
    if output is None:
        return None
    return Target(output=output, failures=arguments.failures or failures_beside(output))


def _describe_run(job: Job, answering: Answering, arguments: argparse.Namespace) -> dict[str, str]:
    """All that the output depends on. How many threads compute it is not among that."""
    options = {
        name.replace("_", " "): repr(value)
        for name in job.options.__dataclass_fields__
        if (value := getattr(job.options, name)) is not None
    }
    return {
        "version": __version__,
        "bundle": answering.identity,
        "input": json.dumps(arguments.files),
        "text field": job.fields.text,
        "added fields": ", ".join(job.fields.added),
        "window": str(arguments.window or WINDOW_RECORDS),
        "batch size": str(job.batch_size),
        "newlines": job.newlines,
        "reading of special tokens": str(job.parse_special_tokens),
        "share of unknown characters": str(job.max_unknown),
        "way with long documents": job.long,
        "decoder prefix": repr(job.decoder_prefix),
        "file of failures": str(arguments.failures),
        **options,
    }


def _open_ledger(
    command: str,
    progress: ProgressLine,
    arguments: argparse.Namespace,
    source: Source[Any],
    target: Target | None,
    run: dict[str, str],
) -> Ledger[Any]:
    def tell(message: str) -> None:
        progress.clear()
        note(command, f"error: {message}")

    fields = _read_fields(arguments)
    output: Output[Any]
    failures: Failures = FailuresTold(tell)
    if target is None:
        state = State(run=run)
        if arguments.failures is not None:
            failures = FailureFile(arguments.failures, state, "line")
        return Ledger(StdoutOutput(fields), failures, state, None)
    state = target.begin(run, resume=arguments.resume, force=arguments.force)

    def check_still() -> None:
        target.check_still(state)

    if isinstance(source, ParquetSource):
        output = ParquetOutput(target.output, source.schema(), fields, state, check_still)
    else:
        output = JsonlOutput(target.output, fields, state, check_still)
    counted = "row" if isinstance(source, ParquetSource) else "line"
    return Ledger(output, FailureFile(target.failures, state, counted), state, target.state)


def _show(progress: ProgressLine, source: Source[Any], before: int) -> Callable[[int], None]:
    """Shows how many records are done whenever more are; before: of an earlier run."""
    done = before

    def show(number: int) -> None:
        nonlocal done
        done += number
        total, is_estimate = source.estimate_records()
        progress.show_text(
            describe_progress(
                done, total, progress.elapsed_s(), before=before, is_estimate=is_estimate
            )
        )

    return show


def _tell_end(command: str, counts: Counts, target: Target | None) -> None:
    parts = [f"{counts.written} records written"] if target is not None else []
    if counts.failed:
        where = f", see {target.failures}" if target is not None else ""
        parts.append(f"{counts.failed} failed{where}")
    if counts.blank:
        parts.append(f"{counts.blank} blank lines skipped")
    if counts.truncated:
        parts.append(f"{counts.truncated} cut to what the model takes")
    if counts.unknown:
        parts.append(
            f"{counts.unknown} whose characters the tokenizer hardly knows, so that their "
            "summaries may be made up"
        )
    if counts.html:
        parts.append(f"{counts.html} with HTML, which the model reads as words")
    if counts.controls:
        parts.append(f"{counts.controls} with characters that nobody sees")
    if parts:
        where = f"{target.output}: " if target is not None else ""
        note(command, where + "; ".join(parts))
