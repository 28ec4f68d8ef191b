"""Texts that are printed as they come: what a signal ends, and how soon."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from runtime.command_line.scripts import COMMAND, TIMEOUT_S, start

INTERRUPTED = f"{COMMAND}: error: interrupted\n".encode()
ENCODES = "hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**9)"  # minutes, and no handler is called


def test_a_signal_before_any_text_ends_it_while_the_encoder_runs(tmp_path: Path) -> None:
    body = f"""
    import hashlib
    from pegasus_runtime.commands.streaming import print_stream

    def parts():
        write_result('ready\\n')
        {ENCODES}
        yield

    print_stream('a.txt', parts(), None)
    """.strip()
    process = start(tmp_path, body)
    assert process.stdout is not None
    assert process.stdout.read(6) == b"ready\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=5) == (b"", INTERRUPTED)
    assert process.returncode == 130


def test_a_signal_between_two_pieces_ends_the_line(tmp_path: Path) -> None:
    body = """
    import time
    from pegasus_runtime.commands.streaming import print_stream
    from pegasus_runtime.tasks.partial import Partial

    def parts():
        yield Partial(text='It', token_ids=(1,))
        time.sleep(60)

    print_stream('a.txt', parts(), None)
    """.strip()
    process = start(tmp_path, body)
    assert process.stdout is not None
    assert process.stdout.read(2) == b"It"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=TIMEOUT_S) == (b"\n", INTERRUPTED)
    assert process.returncode == 130
