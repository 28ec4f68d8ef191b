"""PEGASUS-X has PEGASUS's tokenizer, in files that transformers 5 reads by another class."""

from pathlib import Path
from typing import Any

import transformers

from exporter.tiny_checkpoint import tiny_sentences, write_tiny_checkpoint
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.tokenizer.plan import plan_tokenizer
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS
from pegasus_runtime.tokenization.tokenizer import Tokenizer

ARCHITECTURE = "PegasusXForConditionalGeneration"


def load(checkpoint: Path, folder: Path) -> Tokenizer:
    """What a bundle of the checkpoint would have."""
    planned = plan_tokenizer(open_checkpoint(str(checkpoint)))
    assert planned is not None
    path = folder / planned.spec.file
    path.write_bytes(planned.content)
    return Tokenizer.load(path, planned.spec)


def test_pieces_have_the_ids_of_pegasus(tmp_path: Path) -> None:
    """transformers 5.23 reads no spiece.model alone where model_type is pegasus_x."""
    planned = [
        plan_tokenizer(open_checkpoint(str(write_tiny_checkpoint(tmp_path / name, **options))))
        for name, options in (("x", {"architecture": ARCHITECTURE}), ("pegasus", {}))
    ]
    assert planned[0] is not None
    assert planned[1] is not None
    assert planned[0].spec == planned[1].spec == PUBLISHED_TOKENIZERS["pegasus_x"]
    assert planned[0].content == planned[1].content


def test_a_tokenizer_json_has_the_ids_of_auto_tokenizer(tmp_path: Path) -> None:
    checkpoint = write_tiny_checkpoint(tmp_path / "checkpoint", architecture=ARCHITECTURE)
    library: Any = transformers
    library.PegasusTokenizer.from_pretrained(checkpoint).save_pretrained(checkpoint)
    oracle = library.AutoTokenizer.from_pretrained(checkpoint)
    assert type(oracle).__name__ == "TokenizersBackend"
    (tmp_path / "bundle").mkdir()
    tokenizer = load(checkpoint, tmp_path / "bundle")
    for text in tiny_sentences()[:20]:
        assert list(tokenizer.encode(text).token_ids) == oracle(text).input_ids
