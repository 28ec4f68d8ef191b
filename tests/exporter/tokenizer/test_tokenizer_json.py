"""A tokenizer.json of our own making: tokens as transformers has them, ids as the bundle has."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.tiny_checkpoint import tiny_sentences, tiny_vocab_size, write_tiny_checkpoint
from exporter.tokenizer_texts import (
    edit_json,
    hard_texts,
    oracle,
    planned,
    random_texts,
    tokenizer_of,
)
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.errors import UnsupportedError
from pegasus_export.tokenizer.files import read_tokenizer_files
from pegasus_export.tokenizer.model_proto import Piece, read_model, write_model
from pegasus_export.tokenizer.tokenizer_json import MadeTokenizer, make_tokenizer_json

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("transformers")

SIZE = tiny_vocab_size()
VOCABULARIES = Path(__file__).resolve().parents[4] / "shared" / "vocab"
LITERALS = ("<sep>", "[NAME]", "<hl>", "river", "</s>", "<pad>", "<unk_5>", "<unk_7>", "<mask_1>")
PEGASUS = {"tokenizer_class": "PegasusTokenizer"}
FLAGS = dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False)
BOTH_MASKS = {"mask_token": "<mask_2>", "mask_token_sent": "<mask_1>"}
WORDS = sorted({word.strip(".!,").lower() for line in tiny_sentences() for word in line.split()})
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *".,!?'-<>[]", *"abcdefgh中国"]
TOKENS += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
TOKENS = list(dict.fromkeys(TOKENS))
Build = Callable[[Path], Path]


def _spiece(
    config: dict[str, Any] | None = None,
    special_tokens_map: dict[str, Any] | None = None,
    added: dict[str, int] | None = None,
) -> Build:
    """A folder of spiece.model, and of these files alone."""

    def build(folder: Path) -> Path:
        write_tiny_checkpoint(folder, vocab_size=SIZE + 16)
        files = {
            "tokenizer_config.json": config,
            "special_tokens_map.json": special_tokens_map,
            "added_tokens.json": added,
        }
        for name, content in files.items():
            (folder / name).unlink(missing_ok=True)
            if content is not None:
                (folder / name).write_text(json.dumps(content), encoding="utf-8")
        return folder

    return build


def _vocab(tokens: Sequence[str] = TOKENS, **settings: Any) -> Build:
    """A folder of vocab.txt."""

    def build(folder: Path) -> Path:
        ids = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 2}
        write_tiny_checkpoint(folder, vocab_size=len(TOKENS) + 8, generation=ids, **ids)
        for name in ("spiece.model", "special_tokens_map.json", "tokenizer_config.json"):
            (folder / name).unlink()
        (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
        if settings:
            edit_json(folder / "tokenizer_config.json", **settings)
        return folder

    return build


def _without_charsmap(folder: Path) -> Path:
    import sentencepiece

    _spiece(PEGASUS)(folder)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(tiny_sentences()),
        model_prefix=str(folder / "spiece"),
        vocab_size=150,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return folder


def _decoder(*tokens: dict[str, Any]) -> dict[str, Any]:
    flags = {**FLAGS, "special": False}
    return {str(SIZE + number): flags | token for number, token in enumerate(tokens)}


MORE = _decoder(
    {"content": "<sep>", "special": True},
    {"content": "[NAME]"},
    {"content": "<hl>", "lstrip": True, "rstrip": True},
    {"content": "river", "single_word": True, "normalized": True},
)
FOLDERS: dict[str, Build] = {
    "spiece.model alone": _spiece(),
    "a class": _spiece(PEGASUS),
    "both masks": _spiece({**PEGASUS, **BOTH_MASKS}),
    "offset 10": _spiece({**PEGASUS, "offset": 10}),
    "offset 0": _spiece({**PEGASUS, "offset": 0}),
    "another pad": _spiece({**PEGASUS, "pad_token": "<p>"}),
    "another eos": _spiece({**PEGASUS, "eos_token": "<e>"}),
    "no charsmap": _without_charsmap,
    "added_tokens.json": _spiece(PEGASUS, None, {"<sep>": SIZE, "[NAME]": SIZE + 1}),
    "a name of added_tokens.json": _spiece({**PEGASUS, "cls_token": "[C]"}, None, {"[C]": SIZE}),
    "added_tokens_decoder": _spiece({**PEGASUS, "added_tokens_decoder": MORE}),
    "a name of added_tokens_decoder": _spiece(
        {**PEGASUS, "cls_token": "[NAME]", "added_tokens_decoder": MORE}
    ),
    "extra": _spiece({**PEGASUS, "extra_special_tokens": ["<hl>", "<unk_7>"]}),
    "extra, none": _spiece({**PEGASUS, "extra_special_tokens": []}),
    "extra, by name": _spiece({**PEGASUS, "extra_special_tokens": {"image_token": "<hl>"}}),
    "extra, nothing by name": _spiece({**PEGASUS, "extra_special_tokens": {}}),
    "extra, nothing by name, and additional": _spiece(
        {**PEGASUS, "extra_special_tokens": {}, "additional_special_tokens": ["<hl>"]}
    ),
    "additional": _spiece({**PEGASUS, "additional_special_tokens": ["<hl>", "<unk_7>"]}),
    "additional, none": _spiece({**PEGASUS, "additional_special_tokens": []}),
    "map": _spiece(PEGASUS, {"bos_token": "<sep>", "cls_token": {"content": "[NAME]", **FLAGS}}),
    "map, extra": _spiece(PEGASUS, {"extra_special_tokens": ["<hl>", "<unk_7>"]}),
    "map, by name": _spiece(PEGASUS, {"extra_special_tokens": {"a_token": "<hl>"}}),
    "map, additional": _spiece(PEGASUS, {"additional_special_tokens": ["<hl>", "<unk_7>"]}),
    "vocab.txt": _vocab(tokenizer_class="BertTokenizer"),
    "vocab.txt, Fast": _vocab(tokenizer_class="BertTokenizerFast", do_lower_case=False),
    "vocab.txt, accents": _vocab(tokenizer_class="BertTokenizer", strip_accents=False),
    "vocab.txt, characters": _vocab(
        tokenizer_class="BertTokenizer", tokenize_chinese_chars=False, bos_token="<sep>"
    ),
    "vocab.txt, a token twice": _vocab(
        [*TOKENS[:-3], "the", *TOKENS[-3:]], tokenizer_class="BertTokenizer", bos_token="<sep>"
    ),
}


def _made(folder: Path) -> MadeTokenizer:
    files = read_tokenizer_files(open_checkpoint(str(folder)))
    return make_tokenizer_json(files, planned(folder))


def _as_transformers_says(content: Any) -> Any:
    """What does not say how a text is read; masks in either order."""
    model = content["model"]
    if model["type"] == "Unigram":
        names = [name for name, _ in model["vocab"]]
        model = [model["unk_id"], *names[:2], *sorted(names[2:4]), *names[4:]]
    template = content["post_processor"]["single"], content["post_processor"]["special_tokens"]
    tokens = [(each["id"], each["content"]) for each in content["added_tokens"]]
    return model, template, [token for token in tokens if token[0] >= SIZE]


@pytest.mark.parametrize("name", FOLDERS)
def test_tokens_and_template_are_what_transformers_would_save(tmp_path: Path, name: str) -> None:
    folder = FOLDERS[name](tmp_path / "checkpoint")
    made = _made(folder)
    got, expected = json.loads(made.content), json.loads(oracle(folder).backend_tokenizer.to_str())
    assert _as_transformers_says(got) == _as_transformers_says(expected)
    if name.startswith("vocab.txt"):
        assert got == expected
    assert made.notes == ()


@pytest.mark.parametrize(
    "name", ["spiece.model alone", "added_tokens.json", "added_tokens_decoder", "map", "vocab.txt"]
)
def test_ids_and_text_stay_where_it_is_put_beside_the_files(tmp_path: Path, name: str) -> None:
    folder = FOLDERS[name](tmp_path / "checkpoint")
    before = oracle(folder)
    (folder / "tokenizer.json").write_bytes(_made(folder).content)
    alone = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in random_texts(2000, [each for each in LITERALS if each != "<mask_1>"]):
        ids = before(text).input_ids
        assert alone.encode(text).ids == ids, repr(text)
        assert alone.decode(ids) == before.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_are_those_of_the_bundles_own_tokenizer(tmp_path: Path, name: str) -> None:
    folder = FOLDERS[name](tmp_path / "checkpoint")
    expected = tokenizer_of(folder, tmp_path)
    alone = tokenizers.Tokenizer.from_str(_made(folder).content.decode())
    literals = [each for each in LITERALS if "another" not in name or each not in ("</s>", "<pad>")]
    for text in hard_texts(200, literals, is_random=not name.startswith("vocab.txt")):
        ids = alone.encode(f"x{text}").ids
        assert ids == list(expected.encode(f"x{text}").token_ids), repr(text)
        assert alone.decode(ids).lstrip() == expected.decode(ids).lstrip()


def test_text_is_normalised_as_sentencepiece_does(tmp_path: Path) -> None:
    """Whether or not the vocabulary has what comes out."""
    folder = _spiece(PEGASUS)(tmp_path / "checkpoint")
    alone = tokenizers.Tokenizer.from_str(_made(folder).content.decode())
    sentencepiece = pytest.importorskip("sentencepiece")
    model = (folder / "spiece.model").read_bytes()
    reference = sentencepiece.SentencePieceNormalizer(model_proto=model, add_dummy_prefix=False)
    hidden = str.maketrans("\u200d\u0080", "\u0081\u0081")  # neither is a piece
    above_below = ["c\u0323\u0302", "b\u0327\u0301", "b\u0328\u0304", "a\u031b\u0303"]
    for text in (*above_below, *hard_texts(3000)):
        got = alone.normalizer.normalize_str(text).lstrip(" ").replace(" ", "▁")
        assert got == reference.normalize(text).translate(hidden), ascii(text)


def test_an_added_token_may_begin_another_and_stand_alone(tmp_path: Path) -> None:
    tokens = ({"content": "<a>"}, {"content": "<a>b"}, {"content": "lake", "single_word": True})
    folder = _spiece({**PEGASUS, "added_tokens_decoder": _decoder(*tokens)})(tmp_path / "one")
    alone = tokenizers.Tokenizer.from_str(_made(folder).content.decode())
    ours = tokenizer_of(folder, tmp_path)
    for text in ("<a>b", "<a> b<a>bb ", "lakes lake, a lake ", "lake<a>b lakelake", "x lake<a>"):
        assert alone.encode(text).ids == list(ours.encode(text).token_ids), text


@pytest.mark.skipif(not VOCABULARIES.is_dir(), reason="the real vocabularies are not here")
@pytest.mark.parametrize("model_type", ["pegasus", "bigbird_pegasus"])
def test_of_the_real_vocabularies_it_has_the_ids_of_a_bundle(
    tmp_path: Path, model_type: str
) -> None:
    is_bigbird = model_type == "bigbird_pegasus"
    name = "BigBirdPegasusForConditionalGeneration" if is_bigbird else None
    chosen: dict[str, Any] = {"architecture": name} if name else {}
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", vocab_size=96103, **chosen)
    shutil.copy(VOCABULARIES / f"{model_type}.spiece.model", folder / "spiece.model")
    expected = tokenizer_of(folder, tmp_path)
    (folder / "tokenizer.json").write_bytes(_made(folder).content)
    alone = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    ties = 0
    for text in hard_texts(2000, ["</s>", "<pad>", "<n>", "<s>", "[CLS]", "<mask_1>"]):
        ids, own = alone.encode(f"x{text}").ids, list(expected.encode(f"x{text}").token_ids)
        assert ids == own or sorted(ids) == sorted(own), repr(text)  # `dd` `d` or `d` `dd`
        ties += ids != own
    assert ties <= 2


@pytest.mark.parametrize("place", ["tokenizer_config.json", "special_tokens_map.json"])
def test_ids_are_the_networks_where_transformers_leaves_a_mask_out(
    tmp_path: Path, place: str
) -> None:
    mask = {"mask_token": "<mask_2>"}
    in_config = place == "tokenizer_config.json"
    build = _spiece({**PEGASUS, **mask}) if in_config else _spiece(PEGASUS, mask)
    folder = build(tmp_path / "checkpoint")
    made = _made(folder)
    assert "has no mask_token_sent, without which transformers 5.23 gives" in made.notes[0]
    published = oracle(_spiece({**PEGASUS, **BOTH_MASKS})(tmp_path / "published"))
    expected = tokenizer_of(folder, tmp_path)
    off_by_one = oracle(folder)
    (folder / "tokenizer.json").write_bytes(made.content)
    got = oracle(folder)
    for text in random_texts(200):
        ids = got(text).input_ids
        assert ids == published(text).input_ids == list(expected.encode(text).token_ids)
        assert ids != off_by_one(text).input_ids


def test_berts_class_is_named_where_a_folder_does_not(tmp_path: Path) -> None:
    made = _made(_vocab()(tmp_path / "checkpoint"))
    named = _made(_vocab(tokenizer_class="BertTokenizer")(tmp_path / "named"))
    assert (made.content, made.class_name) == (named.content, "BertTokenizer")


@pytest.mark.parametrize("name", ["spiece.model alone", "added_tokens_decoder"])
def test_a_fine_tune_saved_from_it_has_the_same_ids_in_a_bundle(tmp_path: Path, name: str) -> None:
    folder = FOLDERS[name](tmp_path / "checkpoint")
    before = tokenizer_of(folder, tmp_path)
    made = _made(folder)
    for each in folder.glob("*token*"):
        each.unlink()
    (folder / "spiece.model").unlink()
    (folder / "tokenizer.json").write_bytes(made.content)
    edit_json(
        folder / "tokenizer_config.json", tokenizer_class=made.class_name, **made.special_tokens
    )
    oracle(folder).save_pretrained(folder)
    after = tokenizer_of(folder, tmp_path)
    for text in hard_texts(300, ["<sep>", "[NAME]", "</s>"]):
        ids, expected = (each.encode(f"x{text}").token_ids for each in (after, before))
        assert ids == expected, repr(text)


@pytest.mark.parametrize("split", [False, True])
def test_special_tokens_stay_text_where_the_reader_asks_for_it(tmp_path: Path, split: bool) -> None:
    """In a vocabulary that has all their characters."""
    folder = _spiece(PEGASUS)(tmp_path / "checkpoint")
    pieces, charsmap = read_model((folder / "spiece.model").read_bytes())
    texts = {piece.text for piece in pieces}
    alphabet = {char for piece in pieces for char in piece.text} | set("</>_0123456789")
    pieces += [Piece(char, -9.0) for char in sorted(alphabet - texts)]
    content = write_model(pieces, charsmap=charsmap, pad=0, eos=1, unk=2)
    (folder / "spiece.model").write_bytes(content)
    edit_json(folder / "config.json", vocab_size=SIZE + 200)
    alone = tokenizers.Tokenizer.from_str(_made(folder).content.decode())
    alone.encode_special_tokens = split
    ours = tokenizer_of(folder, tmp_path, parse=not split)
    for text in ("the </s> bridge", "<mask_1>", "<unk_5></s><pad>", "a</s> "):
        assert alone.encode(text).ids == list(ours.encode(text).token_ids)


def _with_added(folder: Path, *contents: str) -> Path:
    tokens = _decoder(*({"content": each} for each in contents))
    return _spiece({**PEGASUS, "added_tokens_decoder": tokens})(folder)


@pytest.mark.parametrize("contents", [("<a>", ">b"), ("x</s>",)])
def test_added_tokens_that_a_text_may_spell_at_one_place_are_refused(
    tmp_path: Path, contents: tuple[str, ...]
) -> None:
    folder = _with_added(tmp_path / "checkpoint", *contents)
    with pytest.raises(UnsupportedError, match="overlaps another, which a tokenizer"):
        _made(folder)


def _changed(folder: Path, content: bytes) -> MadeTokenizer:
    checkpoint = open_checkpoint(str(folder))
    plan = replace(planned(folder), content=content)
    return make_tokenizer_json(read_tokenizer_files(checkpoint), plan)


def test_models_that_no_tokenizer_json_of_ours_says_are_refused(tmp_path: Path) -> None:
    folder = _spiece(PEGASUS)(tmp_path / "checkpoint")
    model = planned(folder).content
    with pytest.raises(UnsupportedError, match=r"spiece\.model is no Unigram model without bytes"):
        _changed(folder, model + b"\x12\x02\x18\x02")  # trainer_spec {model_type: BPE}
    keeps = model + b"\x1a\x02\x20\x00"  # normalizer_spec {remove_extra_whitespaces: false}
    with pytest.raises(UnsupportedError, match="keeps several spaces, or puts none in front"):
        _changed(folder, keeps)
    folder = _with_added(tmp_path / "added", "<a>")
    pieces, charsmap = read_model(model)
    pieces[-1] = replace(pieces[-1], text="\U000f0001")
    content = write_model(pieces, charsmap=charsmap, pad=0, eos=1, unk=2)
    (folder / "spiece.model").write_bytes(content)
    with pytest.raises(UnsupportedError, match="the vocabulary has characters of a private plane"):
        _made(folder)
    plan = planned(_spiece(PEGASUS)(tmp_path / "another"))
    plan = replace(plan, spec=replace(plan.spec, kind="randeng"))
    files = read_tokenizer_files(open_checkpoint(str(folder)))
    with pytest.raises(UnsupportedError, match="cuts words by a dictionary, which no tokenizer"):
        make_tokenizer_json(files, plan)


def test_what_the_vocabulary_lacks_costs_what_it_costs_sentencepiece(tmp_path: Path) -> None:
    """`z` is in `az` alone: dear enough, `az` is read as `a` and what is not known."""
    folder = _spiece(PEGASUS)(tmp_path / "checkpoint")
    pieces, charsmap = read_model((folder / "spiece.model").read_bytes())
    number = next(n for n, piece in enumerate(pieces) if len(piece.text) > 3 and n > 10)
    pieces[number] = replace(pieces[number], text="\u4e2d\u56fd", score=-1.0)
    pieces[number + 1] = replace(pieces[number + 1], text="\u56fd\u65e5\u672c", score=-0.5)
    content = write_model(pieces, charsmap=charsmap, pad=0, eos=1, unk=2)
    (folder / "spiece.model").write_bytes(content)
    ours = tokenizer_of(folder, tmp_path)
    alone = tokenizers.Tokenizer.from_str(_made(folder).content.decode())
    for text in ("\u4e2d\u56fd\u65e5\u672c", "\u4e2d\u56fd", "\u56fd\u65e5\u672c\u4e2d"):
        assert alone.encode(text).ids == list(ours.encode(text).token_ids)
