"""Features of documents in one npz file, which `numpy.load` reads without unpickling anything.

files                          [N] names of the documents
last_hidden_state.I            [T, D] float32 of document I, from 0 up
encoder_last_hidden_state.I    [S, D] float32
token_ids.I                    [S] int64
decoder_input_ids.I            [T] int64
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import replacing_file
from pegasus_runtime.command_line.streams import ResultError
from pegasus_runtime.tasks.feature_extractor import Features

__all__ = ["FeatureArchive", "open_archive"]


class _EmptyError(Exception):
    """No document was added."""


class FeatureArchive:
    """A file being written, one document after another."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.names: list[str] = []

    def add(self, name: str, features: Features) -> None:
        """Writes what belongs to one document. Raises: OSError."""
        number = len(self.names)
        self.names.append(name)
        self.write(f"last_hidden_state.{number}", features.last_hidden_state)
        self.write(f"encoder_last_hidden_state.{number}", features.encoder_last_hidden_state)
        self.write(f"token_ids.{number}", np.array(features.token_ids, np.int64))
        self.write(f"decoder_input_ids.{number}", np.array(features.decoder_input_ids, np.int64))

    def write(self, name: str, array: npt.NDArray[np.generic]) -> None:
        """Writes one array. Raises: OSError."""
        entry = zipfile.ZipInfo(f"{name}.npy")  # of no time: the same features, the same file
        with self.archive.open(entry, "w", force_zip64=True) as file:
            np.lib.format.write_array(file, array, allow_pickle=False)


@contextmanager
def open_archive(path: Path) -> Iterator[FeatureArchive]:
    """Gives the file its name when all is in it; without any document, there is none.

    Raises: ResultError where it cannot be written.
    """
    try:
        with replacing_file(path) as file, zipfile.ZipFile(file, "w") as archive:
            features = FeatureArchive(archive)
            yield features
            if not features.names:
                raise _EmptyError
            features.write("files", np.array(features.names, np.str_))
    except _EmptyError:
        return
    except OSError as err:
        raise ResultError(
            f"{path} cannot be written: {err.strerror or err}: free some space, or choose another "
            "--output"
        ) from err
