"""The checksum of RFC 3720, of whatever length."""

import numpy as np
import pytest

from pegasus_export.checkpoint.formats.crc32c import crc32c, masked_crc32c


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0x00000000),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_values_of_the_rfc(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 1000, 65535, 65536, 65537, 200_003])
def test_rows_that_are_folded_sum_up_as_single_bytes_do(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    assert crc32c(data) == _byte_by_byte(data.tobytes())
    assert crc32c(data[1:]) == _byte_by_byte(data.tobytes()[1:])  # not aligned


def _byte_by_byte(data: bytes) -> int:
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def test_a_mask_rotates_and_adds() -> None:
    crc = crc32c(b"123456789")
    assert masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
