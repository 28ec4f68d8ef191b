"""Bundles that programs in other languages run, and the texts that they summarise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from made_once import MadeOnce

CHECKPOINT = Path(__file__).resolve().parents[2] / "examples" / "checkpoints" / "pegasus-mini"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCase:
    """A bundle with generate.onnx, and texts in files."""

    bundle: Path
    texts: tuple[str, ...]
    files: tuple[Path, ...]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "client_case" in metafunc.fixturenames:
        is_full = bool(metafunc.config.getoption("--client-reports"))
        precisions = ["fp32", "int8"] if is_full else ["fp32"]
        metafunc.parametrize("client_case", precisions, indirect=True, scope="session")


@pytest.fixture(scope="session")
def client_case(
    request: pytest.FixtureRequest,
    made_once: MadeOnce,
    tiny_checkpoint: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> ClientCase:
    """By precision: the tiny checkpoint's, or with --client-reports that of pegasus-mini."""
    count = request.config.getoption("--client-reports")
    checkpoint = CHECKPOINT if count else tiny_checkpoint()
    result = made_once.export(
        model=str(checkpoint), target="onnx", precision=request.param, generate=True
    )
    texts = tuple(_reports(count) if count else _sentences())
    folder = tmp_path_factory.mktemp("texts")
    files = tuple(folder / f"{number}.txt" for number in range(len(texts)))
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    return ClientCase(bundle=result.bundle.folder, texts=texts, files=files)


def _reports(count: int) -> Iterator[str]:
    from wire_reports import HELD_OUT_SEEDS, generate_report

    for seed in HELD_OUT_SEEDS[:count]:
        yield generate_report(seed).document


def _sentences() -> Sequence[str]:
    from exporter.tiny_checkpoint import tiny_sentences

    sentences = tiny_sentences()
    return sentences[0], " ".join(sentences[1:4]), f"</s> {sentences[4]}\nÀ la carte 👩‍🚀"
