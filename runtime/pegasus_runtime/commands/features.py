"""pegasus-features: documents to last hidden states, all in one npz file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pegasus_runtime.command_line.messages import note
from pegasus_runtime.command_line.parser import ArgumentParser
from pegasus_runtime.command_line.script import run_script
from pegasus_runtime.command_line.signals import UnwindOnSignals
from pegasus_runtime.commands.console import Refused, run_command, warn_of_text
from pegasus_runtime.commands.feature_archive import FeatureArchive, open_archive
from pegasus_runtime.commands.options import add_bundle, add_documents, add_engine_options
from pegasus_runtime.commands.progress import ProgressLine
from pegasus_runtime.errors import InputError, OptionsError
from pegasus_runtime.tasks.feature_extractor import FeatureExtractor

__all__ = ["main"]

COMMAND = "pegasus-features"
_DESCRIPTION = """\
Write the last hidden states of text files, or of standard input, to an npz
file, with a bundle of task feature-extraction that pegasus-export made.

The file has, for document I from 0 up, last_hidden_state.I of the decoder,
encoder_last_hidden_state.I, token_ids.I and decoder_input_ids.I, and files with
the names; numpy.load reads it. A document that is of no use is named on
standard error, and the others are written all the same.
"""
_EPILOG = """\
examples:
  pegasus-features features article.txt --output article.npz
  pegasus-features features *.txt --output all.npz --truncate

exit codes:
  0    done
  1    the engine is missing or failed, or the output could not be written
  2    the bundle, an option, or at least one of the documents is unusable
  130  interrupted; the output is as it was before (143: terminated)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(COMMAND, lambda: _run(_parser().parse_intermixed_args(argv)))


def _run(arguments: argparse.Namespace) -> int:
    output = Path(arguments.output)
    _check_output(output)
    refused = Refused(COMMAND)
    names = [name for name in arguments.files or ["-"] if not refused.is_missing(name)]
    if not names:
        return refused.code
    with (
        FeatureExtractor.load(
            arguments.bundle,
            precision=arguments.precision,
            revision=arguments.revision,
            threads=arguments.threads,
            check_hashes=arguments.check_hashes,
            manifest_sha256=arguments.manifest_sha256,
            max_unknown=arguments.max_unknown,
        ) as extractor,
        UnwindOnSignals(),
        open_archive(output) as archive,
    ):
        _extract_all(extractor, names, archive, refused, truncate=arguments.truncate)
    return refused.code


def _check_output(output: Path) -> None:
    """Before anything is loaded. Raises: OptionsError."""
    try:
        is_other = output.exists() and not output.is_file()
        has_place = output.parent.is_dir()
    except (OSError, ValueError) as err:
        raise OptionsError(f"--output {output} cannot be: {err}: choose another file") from err
    if is_other or not has_place:
        what = "is there and no file" if is_other else "lies in no folder"
        raise OptionsError(f"--output {output} {what}: name a file in a folder that there is")


def _extract_all(
    extractor: FeatureExtractor,
    names: Sequence[str],
    archive: FeatureArchive,
    refused: Refused,
    *,
    truncate: bool,
) -> None:
    progress = ProgressLine(len(names))
    refused.before = progress.clear
    try:
        for done, name in enumerate(names):
            progress.show(done)
            document = refused.read(name)
            if document is None:
                continue
            try:
                features = extractor.extract(document.text, truncate=truncate)
            except InputError as err:
                refused.add(f"{document.name}: {err}", err)
                continue
            progress.clear()
            if features.truncated:
                note(COMMAND, f"{document.name}: cut to what the bundle takes")
            warn_of_text(COMMAND, document.name, features)
            archive.add(document.name, features)
    finally:
        progress.clear()


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog=COMMAND,
        usage=f"{COMMAND} BUNDLE [FILE ...] --output FILE [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_bundle(parser)
    add_documents(parser)
    parser.add_argument("--output", required=True, metavar="FILE", help="the npz file to write")
    add_engine_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_script(COMMAND, "pegasus_runtime.commands.features"))
