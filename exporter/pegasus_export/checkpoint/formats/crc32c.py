"""CRC-32C of whole tensors with NumPy: TensorFlow stores one, masked, beside each of them."""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["crc32c", "masked_crc32c"]

_POLYNOMIAL: Final = 0x82F63B78  # Castagnoli's, bits reversed
_LANES: Final = (1 << 14, 1 << 6)
_MASK_DELTA: Final = 0xA282EAD8

Words = npt.NDArray[np.uint32]


def masked_crc32c(data: bytes | memoryview | npt.NDArray[np.uint8]) -> int:
    """The checksum as LevelDB and TensorFlow store it: rotated, so that it can be summed again."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes | memoryview | npt.NDArray[np.uint8]) -> int:
    """The checksum of RFC 3720, appendix B.4.

    A checksum is linear: a word of 32 bits may be moved on by n bytes if it is multiplied as n
    bytes of zeros would. So rows of words are added up into one row, a table look-up each, and what
    is left, less than 512 bytes, goes byte by byte.
    """
    left = np.frombuffer(data, np.uint8)
    state = 0xFFFFFFFF
    for lanes in _LANES:
        whole = len(left) // (4 * lanes) * 4 * lanes
        if whole == 0:
            continue
        folded = _fold_rows(left[:whole].view("<u4").reshape(-1, lanes), state)
        left, state = np.concatenate([folded.view(np.uint8), left[whole:]]), 0
    table = _byte_table()
    for byte in left.tolist():
        state = table[(state ^ byte) & 0xFF] ^ state >> 8
    return state ^ 0xFFFFFFFF


def _fold_rows(rows: Words, state: int) -> npt.NDArray[np.uint32]:
    """One row that continues from a state of zero as all the rows do from `state`."""
    low, high = _shift_tables(rows.shape[1] * 4)
    folded: npt.NDArray[np.uint32] = rows[0].astype("<u4")
    folded[0] ^= state
    for row in rows[1:]:
        folded = low[folded & 0xFFFF] ^ high[folded >> 16] ^ row
    return folded


@cache
def _byte_table() -> tuple[int, ...]:
    return tuple(_shift_byte(byte) for byte in range(256))


def _shift_byte(word: int) -> int:
    for _ in range(8):
        word = word >> 1 ^ (_POLYNOMIAL if word & 1 else 0)
    return word


@cache
def _shift_tables(count: int) -> tuple[Words, Words]:
    """What `count` bytes of zeros, a power of two, make of the low and high halves of a word."""
    images = [_shift_byte(1 << bit) for bit in range(32)]
    for _ in range(count.bit_length() - 1):
        images = [_apply(images, image) for image in images]
    return _expand(images[:16]), _expand(images[16:])


def _apply(images: list[int], word: int) -> int:
    result = 0
    for bit, image in enumerate(images):
        if word >> bit & 1:
            result ^= image
    return result


def _expand(images: list[int]) -> Words:
    """The images of all 65,536 half words, of those of its bits."""
    table = np.zeros(1, np.uint32)
    for image in images:
        table = np.concatenate([table, table ^ np.uint32(image)])
    return table
