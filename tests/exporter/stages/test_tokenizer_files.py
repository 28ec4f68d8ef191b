"""Target onnx: a tokenizer.json with the bundle's ids, and what AutoTokenizer reads beside it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.tiny_checkpoint import tiny_vocab_size, write_tiny_checkpoint
from exporter.tokenizer_texts import edit_json, hard_texts, oracle, random_texts
from pegasus_export.checkpoint.folder import Checkpoint, open_checkpoint
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.stages.tokenizer_files import write_tokenizer
from pegasus_export.tokenizer.model_proto import read_model, write_model
from pegasus_runtime.bundle import Target, TokenizerSpec
from pegasus_runtime.errors import InputError
from pegasus_runtime.tokenization.tokenizer import Tokenizer

tokenizers = pytest.importorskip("tokenizers")

SIZE = tiny_vocab_size()
TEXTS = random_texts(300, ["<sep>", "[NAME]", "<hl>", "</s>"])
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "bridge", *"abcdefgh.!"]
BERT_IDS = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 2}


def _spiece(folder: Path) -> Path:
    return write_tiny_checkpoint(folder, vocab_size=SIZE + 16)


def _added(folder: Path) -> Path:
    _spiece(folder)
    (folder / "added_tokens.json").write_text(json.dumps({"<sep>": SIZE, "[NAME]": SIZE + 1}))
    return folder


def _saved(folder: Path, *, keeps_spiece: bool = False) -> Path:
    _spiece(folder)
    tokenizer = oracle(folder)
    tokenizer.add_tokens(["<sep>", "[NAME]"])
    tokenizer.add_special_tokens({"extra_special_tokens": ["<hl>"]})
    spiece = (folder / "spiece.model").read_bytes()
    for name in ("spiece.model", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink()
    tokenizer.save_pretrained(folder)
    if keeps_spiece:
        (folder / "spiece.model").write_bytes(spiece)
    return folder


def _other_vocabulary(folder: Path) -> Path:
    """tokenizer.json has one piece less than spiece.model."""
    _saved(folder, keeps_spiece=True)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["model"]["vocab"][140][0] = "another"
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def _vocab(folder: Path) -> Path:
    write_tiny_checkpoint(folder, vocab_size=len(BERT), generation=BERT_IDS, **BERT_IDS)
    for name in ("spiece.model", "special_tokens_map.json"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("\n".join(BERT) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    return folder


def _bigbird(folder: Path) -> Path:
    _saved(folder)
    content = (folder / "tokenizer.json").read_bytes()
    write_tiny_checkpoint(
        folder, architecture="BigBirdPegasusForConditionalGeneration", vocab_size=SIZE + 16
    )
    for name in ("spiece.model", "special_tokens_map.json"):
        (folder / name).unlink()
    (folder / "tokenizer.json").write_bytes(content)
    return folder


def _other_class(folder: Path) -> Path:
    _spiece(folder)
    edit_json(folder / "tokenizer_config.json", tokenizer_class="T5Tokenizer")
    return folder


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "spiece.model": _spiece,
    "added_tokens.json": _added,
    "tokenizer.json": _saved,
    "both": lambda folder: _saved(folder, keeps_spiece=True),
    "other vocabularies": _other_vocabulary,
    "vocab.txt": _vocab,
    "BigBirdPegasus": _bigbird,
    "a class of its own": _other_class,
}


def _write(
    folder: Path, tmp_path: Path, target: Target = "onnx"
) -> tuple[Path, Checkpoint, TokenizerSpec | None]:
    """The bundle's folder, with the config.json that AutoTokenizer asks for."""
    checkpoint = open_checkpoint(str(folder))
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_bytes((folder / "config.json").read_bytes())
    return bundle, checkpoint, write_tokenizer(checkpoint, bundle, "summarization", target)


@pytest.mark.parametrize("name", FOLDERS)
def test_autotokenizer_gives_the_checkpoints_ids(tmp_path: Path, name: str) -> None:
    folder = FOLDERS[name](tmp_path / "checkpoint")
    bundle, _, spec = _write(folder, tmp_path)
    expected, got = oracle(folder), oracle(bundle)
    alone = None
    if (bundle / "tokenizer.json").is_file():
        alone = tokenizers.Tokenizer.from_file(str(bundle / "tokenizer.json"))
    assert (alone is None) == (spec is None) == (name == "a class of its own")
    for text in TEXTS:
        ids = expected(text).input_ids
        assert got(text).input_ids == ids, repr(text)
        decoded = [each.decode(ids, skip_special_tokens=True) for each in (got, expected)]
        assert decoded[0] == decoded[1]
        assert alone is None or alone.encode(text).ids == ids, repr(text)


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "a class of its own"])
def test_ids_are_those_of_the_bundles_own_tokenizer(tmp_path: Path, name: str) -> None:
    bundle, checkpoint, spec = _write(FOLDERS[name](tmp_path / "checkpoint"), tmp_path)
    assert spec is not None
    assert not any("no tokenizer.json is made" in note for note in checkpoint.notes)
    ours = Tokenizer.load(bundle / spec.file, spec, parse_special_tokens=True)
    alone = tokenizers.Tokenizer.from_file(str(bundle / "tokenizer.json"))
    auto = oracle(bundle)
    literals = ["<sep>", "[NAME]", "<hl>", "</s>", "<mask_1>"]
    # Punctuation of WordPiece is that of Unicode 8 there, and that of Python here
    texts = hard_texts(2000, literals, is_random=spec.kind != "wordpiece")
    for number, text in enumerate(texts):
        try:
            expected = list(ours.encode(text).token_ids)
        except InputError:  # of nothing that has an id
            expected = [*spec.prefix_ids, *spec.suffix_ids]
        assert alone.encode(text).ids == expected, repr(text)
        assert number % 20 or auto(text).input_ids == expected, repr(text)


@pytest.mark.parametrize("name", FOLDERS)
def test_the_checkpoints_own_files_stay_as_they_are(tmp_path: Path, name: str) -> None:
    folder = FOLDERS[name](tmp_path / "checkpoint")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "tokenizer.4.0.0.json").write_text("{}")
    (folder / "merges.txt").write_text("")
    (folder / "tokenization_own.py").write_text("raise SystemExit")
    bundle, _, spec = _write(folder, tmp_path)
    weights = {"model.safetensors", "generation_config.json", "tokenization_own.py"}
    names = {path.name for path in folder.iterdir()} - weights
    ours = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    for each in names - (set() if spec is None else ours):
        assert (bundle / each).read_bytes() == (folder / each).read_bytes()
    made = {path.name for path in bundle.iterdir()} - names
    is_own = spec is not None and spec.file in names
    expected = set() if spec is None else {*ours, spec.file} - names
    assert made == expected
    assert is_own or spec is None or spec.file == "runtime-spiece.model"
    if spec is not None:
        assert Tokenizer.load(bundle / spec.file, spec).encode("the bridge").token_ids


def test_what_is_not_the_runtimes_is_carried_with_a_note(tmp_path: Path) -> None:
    folder = _other_class(tmp_path / "checkpoint")
    _, checkpoint, spec = _write(folder, tmp_path)
    assert spec is None
    assert "of the class T5Tokenizer" in checkpoint.notes[-1]
    assert checkpoint.notes[-1].endswith("this target carries the files alone")
    with pytest.raises(UnsupportedError, match="a tokenizer of the class T5Tokenizer, expected"):
        write_tokenizer(checkpoint, tmp_path, "summarization", "ort")


def test_a_vocabulary_of_another_kind_is_carried_with_a_note(tmp_path: Path) -> None:
    folder = _spiece(tmp_path / "checkpoint")
    (folder / "spiece.model").unlink()
    (folder / "vocab.json").write_text("{}")
    bundle, checkpoint, spec = _write(folder, tmp_path)
    assert spec is None
    assert (bundle / "vocab.json").is_file()
    assert checkpoint.notes[-1] == (
        "the tokenizer is of another class: its files are carried alone"
    )


def test_code_is_left_with_a_note(tmp_path: Path) -> None:
    folder = _spiece(tmp_path / "checkpoint")
    edit_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]})
    (folder / "own.py").write_text("raise SystemExit")
    bundle, checkpoint, _ = _write(folder, tmp_path)
    assert not (bundle / "own.py").exists()
    assert "tokenizer_config.json has auto_map, a tokenizer of the" in checkpoint.notes[-1]


def test_berts_class_is_named_in_the_bundle_where_the_checkpoint_does_not(tmp_path: Path) -> None:
    folder = _vocab(tmp_path / "checkpoint")
    expected = oracle(folder)
    edit_json(folder / "tokenizer_config.json", tokenizer_class=None, model_max_length=64)
    bundle, checkpoint, _ = _write(folder, tmp_path)
    assert "vocab.txt is read as BertTokenizer does, whose [SEP] is the" in checkpoint.notes[0]
    config = json.loads((bundle / "tokenizer_config.json").read_text())
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), BERT[:5], strict=True))
    tokens = {f"{name}_token": token for name, token in names.items()}
    assert config == {"model_max_length": 64, "tokenizer_class": "BertTokenizer", **tokens}
    got = oracle(bundle)
    for text in TEXTS:
        assert got(text).input_ids == expected(text).input_ids


@pytest.mark.parametrize("target", ["onnx", "ort"])
def test_no_tokenizer_at_all_is_refused_where_one_is_needed(tmp_path: Path, target: Target) -> None:
    folder = _spiece(tmp_path / "checkpoint")
    (folder / "spiece.model").unlink()
    match = r"no spiece\.model, tokenizer\.json or vocab\.txt, one of which summarization needs: c"
    with pytest.raises(CheckpointError, match=match):
        _write(folder, tmp_path, target)
    checkpoint = open_checkpoint(str(folder))
    assert write_tokenizer(checkpoint, tmp_path / "bundle", "feature-extraction", target) is None


def test_other_targets_have_the_runtimes_file_alone(tmp_path: Path) -> None:
    folder = _added(tmp_path / "checkpoint")
    bundle, _, spec = _write(folder, tmp_path, "ort")
    assert spec is not None
    assert {path.name for path in bundle.iterdir()} == {"config.json", "spiece.model"}


def test_loaders_find_the_tokens_that_tokenizer_json_has(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", vocab_size=SIZE)  # no row for <far>
    edit_json(
        folder / "tokenizer_config.json",
        added_tokens_decoder={str(SIZE + 900): {"content": "<far>", "special": True}},
        cls_token={"content": "<mask_1>", "lstrip": True},
        image_token="<far>",
        fast_tokenizer_files=["tokenizer.4.0.0.json"],
    )
    bundle, checkpoint, _ = _write(folder, tmp_path)
    config = json.loads((bundle / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_max_length"] == checkpoint.config.max_position_embeddings
    names = {name: value for name, value in config.items() if name.endswith("_token")}
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    assert names.items() >= (special | {"cls_token": "<mask_1>"}).items()
    assert not {"image_token", "added_tokens_decoder", "fast_tokenizer_files"} & set(config)
    on_map = json.loads((bundle / "special_tokens_map.json").read_text())
    assert on_map.items() >= special.items()


def test_none_is_written_where_it_would_give_other_ids(tmp_path: Path) -> None:
    """A text that spells a piece of two tokens of the folder."""
    folder = _spiece(tmp_path / "checkpoint")
    tokens = {str(SIZE): {"content": "<a>"}, str(SIZE + 1): {"content": ">b"}}
    flags = {"special": False, "normalized": False}
    tokens = {number: token | flags for number, token in tokens.items()}
    edit_json(folder / "tokenizer_config.json", added_tokens_decoder=tokens)
    bundle, checkpoint, spec = _write(folder, tmp_path)
    assert spec is not None
    assert not (bundle / "tokenizer.json").exists()
    match = "no tokenizer.json is made: the added token <a> overlaps another, which a tokenizer"
    assert any(note.startswith(match) for note in checkpoint.notes)
    own = (folder / "tokenizer_config.json").read_bytes()
    assert (bundle / "tokenizer_config.json").read_bytes() == own


def test_a_bundle_of_another_target_has_a_tokenizer_json_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    checkpoint = open_checkpoint(str(_added(tmp_path / "checkpoint")))
    targets: tuple[tuple[bool, Target], ...] = ((False, "onnx"), (True, "ort"))
    for for_hosts, target in targets:
        bundle = tmp_path / target
        bundle.mkdir()
        write_tokenizer(checkpoint, bundle, "summarization", target, for_hosts=for_hosts)
    made = {path.name: path.read_bytes() for path in (tmp_path / "ort").iterdir()}
    names = ["special_tokens_map.json", "spiece.model", "tokenizer.json", "tokenizer_config.json"]
    assert sorted(made) == names
    assert all((tmp_path / "onnx" / name).read_bytes() == made[name] for name in made)


def _with_pieces(folder: Path, *texts: str) -> Path:
    """In the place of the last ones."""
    _spiece(folder)
    pieces, charsmap = read_model((folder / "spiece.model").read_bytes())
    pieces[-len(texts) :] = [replace(pieces[-1], text=text) for text in texts]
    content = write_model(pieces, charsmap=charsmap, pad=0, eos=1, unk=2)
    (folder / "spiece.model").write_bytes(content)
    return folder


def test_none_is_written_where_a_text_is_read_otherwise(tmp_path: Path) -> None:
    """U+0081 is a piece, and so nothing to set marks apart with."""
    folder = _with_pieces(tmp_path / "checkpoint", "\u1ec7", "\u0081")
    bundle, checkpoint, _ = _write(folder, tmp_path)
    assert not (bundle / "tokenizer.json").exists()
    match = "no tokenizer.json is made: it would give other ids than the bundle's tokenizer to '"
    assert any(note.startswith(match) for note in checkpoint.notes)


def test_a_joiner_that_is_a_piece_stays_one(tmp_path: Path) -> None:
    bundle, _, spec = _write(_with_pieces(tmp_path / "checkpoint", "\u200d"), tmp_path)
    assert spec is not None
    alone = tokenizers.Tokenizer.from_file(str(bundle / "tokenizer.json"))
    ids = list(Tokenizer.load(bundle / spec.file, spec).encode("the\u200dthe").token_ids)
    assert alone.encode("the\u200dthe").ids == ids
    assert spec.unk_token_id not in ids
