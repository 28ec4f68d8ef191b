"""How long a batch waits for company, on a clock of the test's."""

from pegasus_runtime.batcher.company import Company


def test_the_first_document_waits_for_others() -> None:
    company = Company(0.005)
    company.get_free(0.0, 0)
    assert company.start_at(10.0, since=10.0, num_waiting=1) == 10.005
    assert company.start_at(10.002, since=10.0, num_waiting=2) == 10.005


def test_who_waited_while_the_engine_was_busy_waits_for_those_it_just_served() -> None:
    company = Company(0.005)
    company.serve(0.999)
    company.get_free(1.0, 3)
    assert company.start_at(1.0, since=0.2, num_waiting=3) == 1.005
    assert company.start_at(1.001, since=0.2, num_waiting=4) == 1.001


def test_nobody_waits_for_those_who_were_served_long_ago() -> None:
    company = Company(0.005)
    company.serve(0.5)
    company.get_free(1.0, 3)
    assert company.start_at(1.0, since=0.2, num_waiting=3) == 1.0


def test_a_single_caller_who_comes_back_does_not_wait() -> None:
    company = Company(0.005)
    company.serve(1.0)
    company.get_free(1.0, 0)
    assert company.start_at(1.001, since=1.001, num_waiting=1) == 1.001


def test_a_single_caller_who_comes_back_late_waits_as_anybody() -> None:
    company = Company(0.005)
    company.serve(1.0)
    company.get_free(1.0, 0)
    assert company.start_at(2.0, since=2.0, num_waiting=1) == 2.005


def test_without_a_waiting_time_nobody_waits() -> None:
    company = Company(0.0)
    company.get_free(1.0, 0)
    assert company.start_at(2.0, since=2.0, num_waiting=1) == 2.0
