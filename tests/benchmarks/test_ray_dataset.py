import pytest

import ray_dataset


def test_rows_that_differ_are_missing_or_came_twice_are_counted() -> None:
    expected = {number: (f"text {number}", -1.0) for number in range(5)}
    rows = [(number, *expected[number]) for number in (3, 0, 1, 1)]
    rows[0] = (3, "text 3", -1.0001)
    rows[1] = (0, "text 0", -1.000001)
    run = ray_dataset.Run(rows=rows, seconds=2.0, first_s=0.5)
    assert ray_dataset.make_row("x", run, expected) == ("x", 5, 2.5, 2.0, 0.5, 1, 2, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--documents", "0"], "--documents is 0, expected 1 to"),
        (["--workers", "3"], "--workers is 3, expected at most the two nodes"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        ray_dataset.run(options)
    assert message in capsys.readouterr().err
