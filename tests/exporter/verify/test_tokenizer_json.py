"""A tokenizer.json of other ids is found out."""

import json
from pathlib import Path

import pytest

from exporter.tiny_checkpoint import write_tiny_checkpoint
from exporter.tokenizer_texts import planned, tokenizer_of
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.tokenizer.files import read_tokenizer_files
from pegasus_export.tokenizer.tokenizer_json import make_tokenizer_json
from pegasus_export.verify.tokenizer_json import first_difference

pytest.importorskip("tokenizers")


def test_the_first_text_of_other_ids_is_told(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", vocab_size=320)
    files = read_tokenizer_files(open_checkpoint(str(folder)))
    made, ours = make_tokenizer_json(files, planned(folder)), tokenizer_of(folder, tmp_path)
    assert first_difference(made.content, ours, ["</s>"]) is None
    content = json.loads(made.content)
    content["normalizer"]["normalizers"].pop()
    other = json.dumps(content).encode()
    assert first_difference(other, ours, []) == " two  spaces, a tab\tand\r\nnewlines \n\n"
    content = json.loads(made.content)
    content["added_tokens"] = []
    other = json.dumps(content).encode()
    assert first_difference(other, ours, ["</s>"]) == "the </s> river "
