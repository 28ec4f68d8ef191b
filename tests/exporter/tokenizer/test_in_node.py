"""transformers.js's tokenizer reads the tokenizer.json of a bundle, with the bundle's ids.

Its package, @huggingface/tokenizers, is looked for in PEGASUS_EDGE_NODE_MODULES, and where the
examples have theirs.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from exporter.tiny_checkpoint import write_tiny_checkpoint
from exporter.tokenizer_texts import hard_texts
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.stages.tokenizer_files import write_tokenizer
from pegasus_runtime.tokenization.tokenizer import Tokenizer

REPOSITORY = Path(__file__).resolve().parents[3]
VOCABULARIES = REPOSITORY.parent / "shared" / "vocab"
PACKAGE = Path("@huggingface", "tokenizers", "dist", "tokenizers.mjs")
LITERALS = ["</s>", "<pad>", "<n>", "<mask_1>", "<unk_5>"]


def _library() -> Path:
    told = os.environ.get("PEGASUS_EDGE_NODE_MODULES")
    folders = [Path(told)] if told else sorted(REPOSITORY.glob("examples/*/node_modules"))
    found = [folder / PACKAGE for folder in folders if (folder / PACKAGE).is_file()]
    if not found or shutil.which("node") is None:
        pytest.skip("node and npm's @huggingface/tokenizers are not there")
    return found[0]


@pytest.mark.parametrize("name", ["pegasus-mini", "bigbird-mini", "pegasus", "bigbird_pegasus"])
def test_ids_and_text_are_those_of_the_bundle(tmp_path: Path, name: str) -> None:
    library = _library()
    spiece = REPOSITORY / "examples" / "checkpoints" / name / "spiece.model"
    if "mini" not in name:
        spiece = VOCABULARIES / f"{name}.spiece.model"
    if not spiece.is_file():
        pytest.skip("the real vocabularies are not here")
    is_bigbird = "bigbird" in name
    class_name = f"{'BigBird' * is_bigbird}PegasusForConditionalGeneration"
    checkpoint = tmp_path / "checkpoint"
    write_tiny_checkpoint(checkpoint, architecture=class_name, vocab_size=96103)
    shutil.copy(spiece, checkpoint / "spiece.model")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    spec = write_tokenizer(open_checkpoint(str(checkpoint)), bundle, "summarization", "onnx")
    assert spec is not None
    ours = Tokenizer.load(bundle / spec.file, spec, parse_special_tokens=True)
    texts = [f"x{text}" for text in hard_texts(2000, LITERALS)]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    script = Path(__file__).with_name("encode_in_node.mjs")
    command = ["node", script, library, bundle, tmp_path / "texts.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    for text, (ids, decoded) in zip(texts, json.loads(done.stdout), strict=True):
        expected = list(ours.encode(text).token_ids)
        # pieces that score the same in two orders; a browser's map may know younger characters
        assert sorted(ids) == sorted(expected) or any(ord(char) > 0xFFFF for char in text), text
        assert ids != expected or decoded.lstrip() == ours.decode(ids).lstrip()
