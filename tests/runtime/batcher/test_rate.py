"""When there will be room again."""

from pegasus_runtime.batcher.rate import Rate


def test_a_second_is_the_guess_before_anything_has_run() -> None:
    assert Rate(workers=1).seconds(1000) == 1.0


def test_it_is_as_fast_as_the_last_batches_were() -> None:
    rate = Rate(workers=1)
    rate.see(100.0, 2.0)
    assert rate.seconds(50) == 1.0
    for _ in range(50):
        rate.see(100.0, 4.0)
    assert abs(rate.seconds(50) - 2.0) < 0.01


def test_workers_share_the_work() -> None:
    rate = Rate(workers=2)
    rate.see(100.0, 2.0)
    assert rate.seconds(100) == 1.0


def test_it_is_neither_at_once_nor_in_hours() -> None:
    rate = Rate(workers=1)
    rate.see(100.0, 2.0)
    assert rate.seconds(0) == 0.05
    assert rate.seconds(1e9) == 60.0
