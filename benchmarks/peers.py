"""The peers that the project is compared with, each in a venv of its own beside .venv.

Set one up, or find it set up already (then this takes no time):

    python benchmarks/peers.py optimum

A venv is complete when its mark holds the hash of the constraints that it was made from.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A peer: the constraints are its complete environment, with exact versions."""

    venv: Path
    constraints: Path
    with_dependencies: bool = True
    """Whether pip adds what a package asks for, should the constraints lack it."""

    @property
    def bin(self) -> Path:
        return self.venv / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def mark(self) -> Path:
        return self.venv / ".installed"

    def fingerprint(self) -> str:
        content = self.constraints.read_bytes() + sys.version.encode()
        return hashlib.sha256(content).hexdigest()


PEERS = {
    "optimum": Peer(
        venv=REPOSITORY / ".venv-optimum",
        constraints=REPOSITORY / "benchmarks" / "constraints-optimum.txt",
    ),
    "langchain": Peer(
        venv=REPOSITORY / ".venv-langchain",
        constraints=REPOSITORY / "benchmarks" / "constraints-langchain.txt",
    ),
    "litserve": Peer(
        venv=REPOSITORY / ".venv-litserve",
        constraints=REPOSITORY / "benchmarks" / "constraints-litserve.txt",
    ),
    "openvino": Peer(
        venv=REPOSITORY / ".venv-openvino",
        constraints=REPOSITORY / "benchmarks" / "constraints-openvino.txt",
        with_dependencies=False,
    ),
}


def find_peer(name: str) -> Peer | None:
    """The peer if it is set up, else None."""
    peer = PEERS[name]
    is_complete = peer.mark.is_file() and peer.mark.read_text() == peer.fingerprint()
    return peer if is_complete else None


def ensure_peer(name: str) -> Peer:
    """The peer, set up first where it is not. Needs the network then, and a minute."""
    peer = PEERS[name]
    if find_peer(name) is None:
        _set_up(peer)
    peer.mark.touch()
    return peer


def _set_up(peer: Peer) -> None:
    peer.mark.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(peer.venv)], check=True)
    # Modules are compiled at their first import: most of what pip would compile is never imported.
    install = [str(peer.python), "-m", "pip", "install", "--quiet", "--no-compile"]
    install += [] if peer.with_dependencies else ["--no-deps"]
    # torch goes first and alone, so that a build found here is not traded for a larger one.
    lines = peer.constraints.read_text().splitlines()
    torch = [[line] for line in lines if line.startswith("torch==")]
    for requirement in (*torch, ["-r", str(peer.constraints)]):
        subprocess.run([*install, *requirement], check=True)
    peer.mark.write_text(peer.fingerprint())


if __name__ == "__main__":
    if sys.argv[1:] not in [[name] for name in PEERS]:
        sys.exit(f"usage: python benchmarks/peers.py {'|'.join(PEERS)}")
    print(ensure_peer(sys.argv[1]).python)
