"""Keys and values of the tokens decoded so far, and whose history each row continues.

Rows continue each other's histories by way of the indirection: position t of row r is found in row
indirection[b, r, t] of the same document. So nothing is moved from step to step, and the decoder
writes each token's keys in place. The arrays start small and grow with the rows' length.

Dimensions: B documents, R rows per document, S source, T positions there is room for, t tokens so
far, H heads, W words of a head: its numbers, or half as many (`halves.py`).
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pegasus_runtime.sessions.ort.graph import allocate

__all__ = ["CHUNK_TOKENS", "TargetCache", "keep_documents"]

CHUNK_TOKENS = 64
"""Room is made for so many tokens at a time."""

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
_Scalar = TypeVar("_Scalar", bound=np.generic)


class TargetCache:
    """What the self-attention of a batch looks back at; one row per document at first."""

    def __init__(
        self, names: Sequence[str], *, batch: int, num_heads: int, head_words: int, max_length: int
    ) -> None:
        """names: of the arrays; max_length: most tokens of a row. Raises: EngineError."""
        self.max_length = max_length
        self.length = 0
        """Tokens so far."""
        capacity = min(CHUNK_TOKENS, max_length)
        self.indirection = _own_rows(batch, 1, capacity)
        """[B, R, T] int32."""
        self.arrays: dict[str, Float32] = {
            name: allocate((batch, num_heads, capacity, head_words)) for name in names
        }
        """[B*R, H, T, W] each."""

    @property
    def rows_per_document(self) -> int:
        """R: 1 before the second token."""
        return len(self.indirection[0])

    @property
    def capacity(self) -> int:
        """Tokens that there is room for."""
        return len(self.indirection[0, 0])

    def fill(self, keys: Mapping[str, Float32]) -> None:
        """Takes the keys and values [B, H, P, W] of tokens that others have read.

        Called before the first token, while there is one row per document. Raises: EngineError.
        """
        (length,) = {array.shape[2] for array in keys.values()}
        if length > self.capacity:
            chunks = -(-length // CHUNK_TOKENS)
            self._resize(self.rows_per_document, min(chunks * CHUNK_TOKENS, self.max_length))
        for name, array in keys.items():
            self.arrays[name][:, :, :length] = array
        self.length = length

    def follow(self, parents: Int64) -> None:
        """Lets each row continue the history of its parent [B, R], without moving anything."""
        past = self.indirection[:, :, : self.length]
        documents = np.arange(len(parents))[:, None]
        past[:] = past[documents, parents]  # [B, R, t] by [B, R]

    def spread(self, rows_per_document: int) -> None:
        """From one row per document to R, which all continue that row."""
        self._resize(rows_per_document, self.capacity)

    def grow(self) -> None:
        """Makes room for a chunk of tokens more."""
        capacity = min(self.capacity + CHUNK_TOKENS, self.max_length)
        self._resize(self.rows_per_document, capacity)

    def keep(self, documents: Int64) -> None:
        """See `Decoding.keep`."""
        self.indirection = keep_documents(self.indirection, documents)
        rows = len(documents) * self.rows_per_document
        for name, array in self.arrays.items():
            row_shape = array.shape[1:]
            by_document = array.reshape(-1, self.rows_per_document, *row_shape)  # [B*R] -> [B, R]
            kept = keep_documents(by_document, documents)
            self.arrays[name] = kept.reshape(rows, *row_shape)  # [B', R] -> [B'*R]

    def _resize(self, rows_per_document: int, capacity: int) -> None:
        old = self.indirection[:, :, : self.length]
        every = rows_per_document // self.rows_per_document
        self.indirection = _own_rows(len(old), rows_per_document, capacity)
        self.indirection[:, :, : self.length] = old  # where there was one row, all take its history
        for name, array in self.arrays.items():  # one at a time: memory for two is not needed
            rows, num_heads, _, head_words = array.shape
            larger = allocate((rows * every, num_heads, capacity, head_words))
            larger[::every, :, : self.length] = array[:, :, : self.length]
            self.arrays[name] = larger


def keep_documents(array: npt.NDArray[_Scalar], documents: Int64) -> npt.NDArray[_Scalar]:
    """The given documents of an array over documents: its first part, into which they are moved.

    Only those that change their index are copied.

    >>> keep_documents(np.array([[10], [11], [12], [13]]), np.array([0, 3, 2])).tolist()
    [[10], [13], [12]]
    """
    moved = np.flatnonzero(documents != np.arange(len(documents)))
    if moved.size:
        array[moved] = array[documents[moved]]
    return array[: len(documents)]


def _own_rows(batch: int, rows_per_document: int, capacity: int) -> npt.NDArray[np.int32]:
    """[B, R, T]: each row finds every position in itself."""
    rows = np.arange(rows_per_document, dtype=np.int32)[None, :, None]
    return np.broadcast_to(rows, (batch, rows_per_document, capacity)).copy()
