"""What a folder can have for a tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from exporter.tiny_checkpoint import tiny_vocab_size
from exporter.tokenizer_texts import save_again
from zoo.trait import Change, Trait, edit_json

__all__ = ["VOCABULARIES"]

_SIZE = tiny_vocab_size()
_ROOM = {"vocab_size": _SIZE + 8}
"""An embedding with rows for tokens that a fine-tune adds."""


def _save_again(**tokens: Any) -> Change:
    return lambda folder: save_again(folder, **tokens)


def _added_tokens_json(folder: Path) -> None:
    """As transformers 4 wrote it for a slow tokenizer, without tokenizer.json."""
    (folder / "added_tokens.json").write_text(json.dumps({"<sep>": _SIZE, "[NAME]": _SIZE + 1}))


def _added_tokens_decoder(folder: Path) -> None:
    edit_json(
        "tokenizer_config.json",
        added_tokens_decoder={
            str(_SIZE): _added("<sep>", special=True),
            str(_SIZE + 1): _added("[NAME]", special=False),
            str(_SIZE + 2): _added("<wide>", special=False, lstrip=True, rstrip=True),
            str(_SIZE + 3): _added("word", special=False, single_word=True),
        },
    )(folder)


def _added(content: str, **flags: bool) -> dict[str, Any]:
    fields = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    return {"content": content, **fields, **flags}


def _bert(folder: Path) -> None:
    """As uer/pegasus-base-chinese has it: BERT's vocabulary under a PEGASUS network."""
    for name in ("spiece.model", "special_tokens_map.json"):
        (folder / name).unlink()
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 60)]
    words = [*"abcdefghijklmnopqrstuvwxyz.,!", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *words, "the", "river"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    )
    _bert_ids(folder)


def _bert_ids(folder: Path) -> None:
    ids = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 2, "bos_token_id": 2}
    edit_json("config.json", **ids)(folder)
    edit_json("generation_config.json", **ids, forced_eos_token_id=3)(folder)


def _names_tokens(**names: str) -> Change:
    return lambda folder: [
        edit_json(f"{file}.json", **names)(folder)
        for file in ("tokenizer_config", "special_tokens_map")
    ]


def _without(*names: str) -> Change:
    return lambda folder: [(folder / name).unlink() for name in names]


VOCABULARIES: tuple[Trait, ...] = (
    Trait(name="tokenizer.json alone", change=_save_again(keep_spiece=False)),
    Trait(name="tokenizer.json and spiece.model", change=_save_again(keep_spiece=True)),
    Trait(
        name="added tokens in tokenizer.json alone",
        config=_ROOM,
        change=_save_again(keep_spiece=False, plain=["<sep>", "[NAME]", "stone bridge"]),
    ),
    Trait(
        name="added tokens, both files",
        config=_ROOM,
        change=_save_again(keep_spiece=True, plain=["<sep>", "[NAME]"]),
    ),
    Trait(
        name="special added tokens, both files",
        config=_ROOM,
        change=_save_again(keep_spiece=True, plain=["[NAME]"], special=["<hl>", "<sep>"]),
    ),
    Trait(name="added_tokens.json", config=_ROOM, change=_added_tokens_json),
    Trait(name="added_tokens_decoder", config=_ROOM, change=_added_tokens_decoder),
    Trait(name="no special_tokens_map.json", change=_without("special_tokens_map.json")),
    Trait(
        name="spiece.model alone",
        change=_without("tokenizer_config.json", "special_tokens_map.json"),
    ),
    Trait(
        name="an embedding with room",
        config=_ROOM,
        change=_save_again(keep_spiece=True),
    ),
    Trait(name="another piece as EOS", change=_names_tokens(eos_token="<n>")),
    Trait(
        name="another piece as unknown",
        change=_names_tokens(unk_token="<n>"),
        refused=r"has the unk_token <n> for what the vocabulary lacks, expected that of spiece",
    ),
    Trait(name="another piece as padding", change=_names_tokens(pad_token="<n>")),
    Trait(name="BERT's vocabulary", change=_bert),
    Trait(
        name="no tokenizer",
        change=_without("spiece.model", "tokenizer_config.json", "special_tokens_map.json"),
        refused=r"spiece\.model",
    ),
    Trait(
        name="more tokens than the network",
        config={"vocab_size": _SIZE - 10},
        refused=r"spiece\.model has \d+ tokens, the model \d+",
    ),
)
