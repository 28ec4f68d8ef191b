"""Memory that one array leaves to the next, and the system has when nobody needs it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.native.pages import Pages

MIB = 2**18  # in fp32


def test_an_array_has_the_memory_of_the_last_one_of_its_size() -> None:
    pages = Pages()
    first = pages.empty((2, MIB))
    assert (first.shape, first.dtype, first.flags.writeable) == ((2, MIB), np.float32, True)
    address = first.ctypes.data
    del first
    assert pages.empty((MIB, 2)).ctypes.data == address


def test_memory_is_lent_once() -> None:
    pages = Pages()
    first, second = pages.empty((MIB,)), pages.empty((MIB,))
    first[:] = 1
    second[:] = 2
    assert (first == 1).all()


def test_a_view_holds_on_to_the_memory() -> None:
    pages = Pages()
    view = pages.empty((4, MIB)).reshape(2, 2, MIB)[1:, :, 5:]
    gc.collect()
    assert pages.kept_bytes == 0
    del view
    assert pages.kept_bytes == 4 * 4 * MIB


def test_a_much_larger_block_stays_where_it_is() -> None:
    pages = Pages()
    held = [pages.empty((8, MIB)), pages.empty((MIB,))]
    large = held[0].ctypes.data
    held.clear()
    small = pages.empty((4, MIB))
    assert small.ctypes.data != large


def test_of_several_blocks_the_smallest_that_is_large_enough_is_lent() -> None:
    pages = Pages()
    held = [pages.empty((MIB // 32 * size,)) for size in (37, 33, 35)]
    address = held[1].ctypes.data
    held.clear()
    assert pages.empty((MIB,)).ctypes.data == address


def test_kept_and_lent_are_no_more_than_was_lent_at_once() -> None:
    pages = Pages()
    del (first := [pages.empty((5, MIB)) for _ in range(4)])[:]  # 20 MiB
    assert pages.kept_bytes == 4 * 20 * MIB
    other = pages.empty((8, MIB))  # fits none of them
    assert pages.kept_bytes + other.nbytes <= 4 * 20 * MIB
    assert pages.kept_bytes == 4 * 10 * MIB
    assert first == []


def test_released_memory_is_the_systems() -> None:
    def resident_mib() -> int:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") // 2**20

    pages = Pages()
    array = pages.empty((48, MIB))
    array[...] = 1
    before = resident_mib()
    del array
    pages.release()
    assert pages.kept_bytes == 0
    assert resident_mib() <= before - 40


def test_kept_memory_is_released_before_memory_is_said_to_be_short() -> None:
    pages = Pages()
    del (array := [pages.empty((MIB,))])[:]
    with pytest.raises((MemoryError, OSError, OverflowError)):
        pages.empty((2**50,))
    assert pages.kept_bytes == 0
    assert array == []


def test_many_threads_share_the_pages() -> None:
    pages = Pages()
    wrong: list[float] = []

    def work(number: int) -> None:
        for size in (1, 2, 3) * 20:
            array = pages.empty((size, MIB // 16))
            array[:] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="of systems that fork")
def test_a_forked_process_starts_anew_though_another_thread_held_the_lock() -> None:
    from pegasus_runtime.native.pages import PAGES

    with PAGES._lock:
        child = multiprocessing.get_context("fork").Process(target=PAGES.empty, args=((MIB,),))
        held = threading.Thread(target=child.start)  # a thread that has not the lock
        held.start()
        held.join()
    child.join(30)
    assert child.exitcode == 0
