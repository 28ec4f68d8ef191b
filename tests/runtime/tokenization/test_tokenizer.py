"""Text becomes the ids that the models were trained with, and never special ones by accident."""

import io
import os
import random
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

import pegasus_runtime.tokenization.tokenizer as tokenizer_module
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS, Architecture
from pegasus_runtime.errors import BundleError, InputError, OptionsError
from pegasus_runtime.tokenization.tokenizer import Tokenizer

SPECS = PUBLISHED_TOKENIZERS
LAYOUTS = ("pegasus", "bigbird_pegasus")
assert SPECS["pegasus_x"] == SPECS["pegasus"]
OFFSETS: Mapping[str, int] = {"pegasus": 103, "bigbird_pegasus": 0}
VOCABULARIES = Path(__file__).resolve().parents[4] / "shared" / "vocab"
SENTENCES = (
    "the quick brown fox jumps over the lazy dog.",
    "to ensure a smooth flow of bank resolutions, see [MASK] and <s> or <t>",
    "Pack MY box with five dozen liquor jugs! 0123456789 / _ - ?",
)
GOLDEN_TEXT = "To ensure a smooth flow of bank resolutions."
GOLDEN_IDS = (413, 615, 114, 2291, 1971, 113, 1679, 10710, 107, 1)
SPECIAL_LITERALS = (
    ["<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>", "<s>", "<t>", "[MASK]", "[CLS]", "[SEP]"]
    + [f"<unk_{number}>" for number in range(1, 104)]
    + ["<sep_0>", "<no_saic_raw_sp>", "<length_20>", "<::::>", "<space>", "<unused_103>", "<row>"]
)

needs_vocabularies = pytest.mark.skipif(
    not VOCABULARIES.is_dir(), reason="the real vocabularies are not beside the repository"
)


def bigbird_symbols() -> list[str]:
    """User-defined pieces 2..104 of a small vocabulary, the known ones in their places."""
    symbols = [f"<unused_{index - 1}>" for index in range(2, 105)]
    for index, symbol in ((2, "<s>"), (63, "<t>"), (65, "[CLS]"), (66, "[SEP]"), (67, "[MASK]")):
        symbols[index - 2] = symbol
    return symbols


def train(unk_id: int, symbols: list[str]) -> bytes:
    """A SentencePiece model of a few dozen pieces."""
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_writer=writer,
        vocab_size=300,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=unk_id,
        bos_id=-1,
        user_defined_symbols=symbols,
        minloglevel=2,
    )
    return writer.getvalue()


@pytest.fixture(scope="session")
def small_paths(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Layout -> a small spiece.model."""
    folder = tmp_path_factory.mktemp("vocabularies")
    models = {
        "pegasus": train(2, ["<n>"]),
        "bigbird_pegasus": train(105, [*bigbird_symbols(), "<n>"]),
    }
    for layout, model in models.items():
        (folder / f"{layout}.model").write_bytes(model)
    return {layout: folder / f"{layout}.model" for layout in models}


@pytest.fixture(scope="session")
def small(small_paths: Mapping[str, Path]) -> Mapping[str, Tokenizer]:
    """Layout -> tokenizer of the small vocabulary."""
    return {name: Tokenizer.load(small_paths[name], SPECS[name]) for name in LAYOUTS}


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    return "pegasus" if request.param == "pegasus" else "bigbird_pegasus"


@pytest.fixture
def small_path(small_paths: Mapping[str, Path], layout: str) -> Path:
    return small_paths[layout]


@pytest.fixture
def tokenizer(small_path: Path, layout: str) -> Tokenizer:
    return Tokenizer.load(small_path, SPECS[layout])


@pytest.fixture(scope="session")
def real() -> Mapping[str, Tokenizer]:
    """Layout -> tokenizer of the real vocabulary."""
    return {name: Tokenizer.load(real_path(name), SPECS[name]) for name in LAYOUTS}


def real_path(layout: str) -> Path:
    return VOCABULARIES / f"{layout}.spiece.model"


def raw_ids(path: Path, layout: str, text: str) -> tuple[int, ...]:
    """What SentencePiece itself gives, moved to the layout's ids, with EOS."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return (*(piece + OFFSETS[layout] for piece in processor.encode(text)), 1)


# --- encode ---------------------------------------------------------------------------------


def test_ids_are_raw_sentencepiece_plus_the_offset_and_eos(
    tokenizer: Tokenizer, small_path: Path, layout: str
) -> None:
    text = "the lazy fox, see the smooth box <n> with 42 jugs"
    encoding = tokenizer.encode(text)
    assert encoding.token_ids == raw_ids(small_path, layout, text)
    assert not encoding.truncated
    assert encoding.num_tokens_before == len(encoding.token_ids)


def test_the_facts_of_a_vocabulary_are_those_of_hugging_face(
    tokenizer: Tokenizer, small_path: Path, layout: str
) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(small_path))
    assert tokenizer.vocab_size == processor.get_piece_size() + OFFSETS[layout]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 105)
    assert sorted(tokenizer.special_ids) == list(range(106))
    assert sorted(tokenizer.special_tokens.values()) == list(range(106))


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t \r\n", "\u200b", "\u3000\u2028", "\ufeff", "\ud800"]
)
@pytest.mark.parametrize("newlines", ["hf", "original"])
def test_text_without_content_is_refused(
    small_path: Path, layout: str, text: str, newlines: Any
) -> None:
    tokenizer = Tokenizer.load(small_path, SPECS[layout], newlines=newlines)
    with pytest.raises(InputError, match="text is empty or has only whitespace: pass text with"):
        tokenizer.encode(text)


@pytest.mark.parametrize("text", [b"bytes", None, 3, ["a"]])
def test_what_is_no_text_is_refused(tokenizer: Tokenizer, text: Any) -> None:
    message = f"text is {type(text).__name__}, expected str: decode it first"
    with pytest.raises(InputError, match=message):
        tokenizer.encode(text)


def test_too_long_a_text_is_refused_with_both_lengths_and_the_ways_out(
    tokenizer: Tokenizer,
) -> None:
    num_tokens = len(tokenizer.encode("the fox " * 9).token_ids)
    message = re.escape(
        f"source has {num_tokens} tokens, the bundle takes {num_tokens - 1}: shorten it, "
        f"pass truncate=True (--truncate), or export with --max-source-tokens {num_tokens}"
    )
    model = Architecture(
        model_type="pegasus",
        architecture="PegasusForConditionalGeneration",
        vocab_size=200,
        d_model=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_heads=1,
        decoder_heads=1,
        head_dim=8,
        max_position_embeddings=num_tokens,
    )
    with pytest.raises(InputError, match=message):
        tokenizer.encode("the fox " * 9, max_tokens=num_tokens - 1, model=model)
    assert not tokenizer.encode("the fox " * 9, max_tokens=num_tokens).truncated


def test_chinese_is_unknown_though_it_is_one_token(tokenizer: Tokenizer) -> None:
    encoding = tokenizer.encode("\u4e2d\u6587" * 200)
    assert len(encoding.token_ids) <= 3
    assert encoding.unknown_share == 1.0


def test_the_share_of_unknown_characters_is_that_of_what_is_kept(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("the fox").unknown_share == 0.0
    half = tokenizer.encode("the fox \u4e2d\u6587 \u4e2d\u6587\u4e2d\u6587")
    assert half.unknown_share == pytest.approx(0.5)
    few = tokenizer.encode("the fox " * 9 + "\u4e2d" * 100, max_tokens=5, truncate=True)
    assert few.unknown_share == 0.0
    lone = tokenizer.encode("the \ud800 fox \u4e2d\u6587\u4e2d\u6587\u4e2d\u6587")
    assert lone.unknown_share == pytest.approx(0.5)


def test_truncation_keeps_the_start_and_eos_and_says_so(tokenizer: Tokenizer) -> None:
    whole = tokenizer.encode("the fox " * 9)
    cut = tokenizer.encode("the fox " * 9, max_tokens=5, truncate=True)
    assert cut.token_ids == (*whole.token_ids[:4], 1)
    assert cut.truncated
    assert cut.num_tokens_before == len(whole.token_ids)
    uncut = tokenizer.encode("the fox " * 9, max_tokens=len(whole.token_ids), truncate=True)
    assert uncut == whole


@pytest.mark.parametrize("max_tokens", [1, 0, -5])
def test_room_for_no_text_at_all_is_refused(tokenizer: Tokenizer, max_tokens: int) -> None:
    message = f"max_tokens is {max_tokens}, expected at least 2: a token and EOS"
    with pytest.raises(OptionsError, match=message):
        tokenizer.encode("the fox", max_tokens=max_tokens, truncate=True)


def test_newlines_are_spaces_by_default_and_n_stays_in_the_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("the\n\nfox").token_ids == tokenizer.encode("the fox").token_ids
    ids = tokenizer.encode("the<n>fox").token_ids
    assert 106 in ids
    assert tokenizer.decode(ids) == "the<n>fox"


def test_original_newlines_become_n_and_come_back(
    small_path: Path, layout: str, tokenizer: Tokenizer
) -> None:
    original = Tokenizer.load(small_path, SPECS[layout], newlines="original")
    ids = original.encode("the\n\nfox").token_ids
    assert ids == tokenizer.encode("the<n><n>fox").token_ids
    assert ids.count(106) == 2
    assert original.decode(ids) == "the\n\nfox"


@pytest.mark.parametrize("pattern", ["{}", "the {} fox", "fox{}fox", "{0}{0}"])
def test_special_tokens_spelled_in_the_text_stay_text(tokenizer: Tokenizer, pattern: str) -> None:
    for literal in {*SPECIAL_LITERALS, *tokenizer.special_tokens}:
        ids = tokenizer.encode(pattern.format(literal)).token_ids
        assert ids[-1] == 1
        assert min(ids[:-1]) >= 105, literal


@pytest.mark.parametrize("newlines", ["hf", "original"])
def test_special_tokens_are_parsed_on_request(
    small_path: Path, layout: str, tokenizer: Tokenizer, newlines: Any
) -> None:
    parsing = Tokenizer.load(
        small_path, SPECS[layout], parse_special_tokens=True, newlines=newlines
    )
    the, fox = (tokenizer.encode(text).token_ids[:-1] for text in ("the", "fox"))
    for literal, token_id in parsing.special_tokens.items():
        ids = parsing.encode(f"the{literal} fox{literal}").token_ids
        assert ids == (*the, token_id, *fox, token_id, 1)
        assert parsing.encode(literal).token_ids == (token_id, 1)


def test_the_layouts_name_their_special_tokens(small_paths: Mapping[str, Path]) -> None:
    pegasus, bigbird = (
        Tokenizer.load(small_paths[name], SPECS[name]).special_tokens for name in LAYOUTS
    )
    assert [pegasus[name] for name in ("<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk_2>")] == (
        [0, 1, 2, 3, 4]
    )
    assert (pegasus["<unk_102>"], pegasus["<unk>"]) == (104, 105)
    assert "[MASK]" not in pegasus
    assert [bigbird[name] for name in ("<s>", "<t>", "[CLS]", "[SEP]", "[MASK]", "<unk>")] == (
        [2, 63, 65, 66, 67, 105]
    )
    assert "<mask_1>" not in bigbird
    assert "<n>" not in {**pegasus, **bigbird}


@settings(deadline=None)
@given(text=st.text(st.characters(), max_size=60), name=st.sampled_from(LAYOUTS))
def test_no_text_whatever_crashes_or_spells_a_special_token(
    small: Mapping[str, Tokenizer], text: str, name: str
) -> None:
    try:
        ids = small[name].encode(text).token_ids
    except InputError as err:
        message = str(err)
        assert message.startswith("text is empty")
        return
    assert ids[-1] == 1
    assert all(105 <= token_id < small[name].vocab_size for token_id in ids[:-1])
    small[name].decode(ids)


@pytest.mark.parametrize(
    ("text", "as_if"),
    [
        ("the \ud800fox", "the \ufffdfox"),
        ("the \udc00\ud800fox", "the \ufffd\ufffdfox"),
        ("the \ud83d\ude00fox", "the \U0001f600fox"),
        ("the \ud800\ud83d\ude00fox\udfff", "the \ufffd\U0001f600fox"),
    ],
)
def test_lone_surrogates_are_replacement_characters(
    tokenizer: Tokenizer, text: str, as_if: str
) -> None:
    assert tokenizer.encode(text) == tokenizer.encode(as_if)


def test_a_nul_character_does_not_end_the_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("the\0fox").token_ids
    assert 105 in ids
    assert tokenizer.decode(ids) == "thefox"


@pytest.mark.skipif(
    sentencepiece.__version__ in ("0.2.0", "0.2.1"), reason="quadratic before SentencePiece 0.2.2"
)
@pytest.mark.parametrize("unit", ["the fox ", "a", "\u0301", "<n>", "a\ud800", "\U0001f600"])
def test_a_million_characters_are_encoded(tokenizer: Tokenizer, unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    encoding = tokenizer.encode(text, max_tokens=512, truncate=True)
    assert len(encoding.token_ids) == min(512, encoding.num_tokens_before)


def test_threads_share_a_tokenizer(tokenizer: Tokenizer) -> None:
    texts = [f"the fox {number} jumps over {number * 7} dogs" * 5 for number in range(200)]
    expected = [tokenizer.encode(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        encodings = list(pool.map(tokenizer.encode, texts * 5))
        decoded = list(pool.map(lambda encoding: tokenizer.decode(encoding.token_ids), encodings))
    assert encodings == expected * 5
    assert decoded == texts * 5


# --- decode ---------------------------------------------------------------------------------


def test_decoding_gives_the_text_back(tokenizer: Tokenizer) -> None:
    text = "the lazy fox, see the smooth box with 42 jugs!"
    assert tokenizer.decode(tokenizer.encode(text).token_ids) == text


def test_special_ids_are_left_out(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("the fox").token_ids
    assert tokenizer.decode([*range(106), *ids, 0, 0]) == "the fox"
    assert tokenizer.decode(range(106)) == ""
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16])
def test_arrays_are_decoded_too(tokenizer: Tokenizer, dtype: Any) -> None:
    ids = np.array(tokenizer.encode("the fox").token_ids, dtype)
    assert tokenizer.decode(ids) == "the fox"


@pytest.mark.parametrize("beyond", [0, 1, 10**6, 2**70])
def test_ids_that_the_tokenizer_does_not_know_are_left_out(
    tokenizer: Tokenizer, beyond: int
) -> None:
    the, fox = (tokenizer.encode(text).token_ids[:-1] for text in ("the", "fox"))
    unknown = tokenizer.vocab_size + beyond
    assert tokenizer.decode([unknown, *the, unknown, *fox, unknown]) == "the fox"
    assert tokenizer.decode([unknown]) == ""


@pytest.mark.parametrize("token_id", [-1, -(10**6)])
def test_negative_ids_are_refused(tokenizer: Tokenizer, token_id: int) -> None:
    message = f"token id is {token_id}, expected 0 or more: pass ids of a model"
    with pytest.raises(InputError, match=message):
        tokenizer.decode([110, token_id])


@pytest.mark.parametrize("ids", [[1.5], ["a"], [[110]], 5, None, np.zeros((2, 2), int)])
def test_what_is_no_sequence_of_integers_is_refused(tokenizer: Tokenizer, ids: Any) -> None:
    with pytest.raises(InputError, match="token ids must be a flat sequence of integers: "):
        tokenizer.decode(ids)


# --- load -----------------------------------------------------------------------------------


def test_a_missing_file_is_named_in_one_line(tmp_path: Path) -> None:
    message = r"nothing\.model: the tokenizer cannot be read: No such file or directory$"
    with pytest.raises(BundleError, match=message):
        Tokenizer.load(tmp_path / "nothing.model", SPECS["pegasus"])


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(100), os.urandom(1000), b"\x0a\xff"])
def test_a_file_of_something_else_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "spiece.model").write_bytes(content)
    message = r"spiece\.model: not a SentencePiece model: export the checkpoint again$"
    with pytest.raises(BundleError, match=message) as caught:
        Tokenizer.load(tmp_path / "spiece.model", SPECS["pegasus"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [1, 10, 100, 1000])
def test_a_truncated_vocabulary_is_refused(tmp_path: Path, small_path: Path, kept: int) -> None:
    (tmp_path / "spiece.model").write_bytes(small_path.read_bytes()[:kept])
    with pytest.raises(BundleError, match=r"spiece\.model: "):
        Tokenizer.load(tmp_path / "spiece.model", SPECS["pegasus"])


def test_a_vocabulary_of_the_other_layout_is_refused(small_paths: Mapping[str, Path]) -> None:
    message = re.escape("(pad, eos, unk) at pieces (0, 1, 105), expected (0, 1, 2): not a voc")
    with pytest.raises(BundleError, match=message):
        Tokenizer.load(small_paths["bigbird_pegasus"], SPECS["pegasus"])
    message = re.escape("(pad, eos, unk) at pieces (0, 1, 2), expected (0, 1, 105): not a voc")
    with pytest.raises(BundleError, match=message):
        Tokenizer.load(small_paths["pegasus"], SPECS["bigbird_pegasus"])


def test_unknown_newlines_are_refused(small_path: Path, layout: str) -> None:
    newlines: Any = "lf"
    with pytest.raises(OptionsError, match="newlines is 'lf', expected 'hf' or 'original'"):
        Tokenizer.load(small_path, SPECS[layout], newlines=newlines)


def test_original_newlines_need_their_piece(tmp_path: Path) -> None:
    path = tmp_path / "spiece.model"
    path.write_bytes(train(2, []))
    Tokenizer.load(path, SPECS["pegasus"])
    with pytest.raises(BundleError, match=r"spiece\.model: has no piece <n>: use newlines='hf'"):
        Tokenizer.load(path, SPECS["pegasus"], newlines="original")


def test_special_pieces_that_cannot_be_kept_out_of_text_are_refused(
    tmp_path: Path, small_paths: Mapping[str, Path]
) -> None:
    model = small_paths["bigbird_pegasus"].read_bytes()
    path = tmp_path / "spiece.model"
    path.write_bytes(b"\x12\x00" + model)  # another field (an empty trainer_spec) comes first
    message = r"spiece\.model: its special pieces cannot be kept apart from text: not as Senten"
    with pytest.raises(BundleError, match=message):
        Tokenizer.load(path, SPECS["bigbird_pegasus"])


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_damaged_vocabulary_is_loaded_or_refused(
    small_paths: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    layout = data.draw(st.sampled_from(LAYOUTS))
    model = bytearray(small_paths[layout].read_bytes())
    for index in data.draw(st.lists(st.integers(0, len(model) - 1), min_size=1, max_size=3)):
        model[index] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "spiece.model"
    path.write_bytes(model)
    try:
        Tokenizer.load(path, SPECS[layout])
    except BundleError as err:
        assert "\n" not in str(err)  # noqa: PT017


def test_the_module_exports_what_it_says() -> None:
    assert tokenizer_module.__all__ == sorted(tokenizer_module.__all__)
    assert all(hasattr(tokenizer_module, name) for name in tokenizer_module.__all__)


# --- the real vocabularies ------------------------------------------------------------------


@needs_vocabularies
def test_the_golden_sentence_has_the_golden_ids_in_both_layouts(
    real: Mapping[str, Tokenizer], layout: str
) -> None:
    assert real[layout].encode(GOLDEN_TEXT).token_ids == GOLDEN_IDS
    assert real[layout].decode(GOLDEN_IDS) == GOLDEN_TEXT
    assert real[layout].vocab_size == 96103


@needs_vocabularies
def test_no_piece_of_the_real_vocabularies_spells_a_special_id(
    real: Mapping[str, Tokenizer], layout: str
) -> None:
    literals = {*real["pegasus"].special_tokens, *real["bigbird_pegasus"].special_tokens}
    for literal in literals:
        assert min(real[layout].encode(f"{literal} a{literal}b {literal}").token_ids[:-1]) >= 105


@needs_vocabularies
def test_text_with_special_tokens_has_the_same_ids_in_both_layouts(
    real: Mapping[str, Tokenizer],
) -> None:
    text = "Predict the [MASK] of <s> and <t>.<n>See [SEP] too"
    assert real["pegasus"].encode(text) == real["bigbird_pegasus"].encode(text)


@needs_vocabularies
def test_bigbird_ids_are_raw_sentencepiece_on_many_texts(real: Mapping[str, Tokenizer]) -> None:
    path = real_path("bigbird_pegasus")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    for text in many_texts(processor, random.Random(0)):
        ids = real["bigbird_pegasus"].encode(text).token_ids
        assert ids == (*processor.encode(text), 1)
        assert real["bigbird_pegasus"].decode(ids) == processor.decode(
            [piece for piece in processor.encode(text) if piece > 105]
        )


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Any:
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("hugging_face")
    shutil.copy(real_path("pegasus"), folder / "spiece.model")
    return transformers.PegasusTokenizer.from_pretrained(folder)


def many_texts(processor: Any, source: random.Random) -> Iterator[str]:
    """Some hundred texts of real pieces, punctuation, and characters from many scripts."""
    pieces = [processor.id_to_piece(source.randrange(200, 96000)) for _ in range(3000)]
    words = [piece.replace("▁", "") for piece in pieces if piece.strip("▁")]
    gaps = [" ", " ", " ", "  ", "\n", "\n\n", "\t", ", ", ". ", "-", "", "…", "\r\n", "\u00a0"]
    scripts = ((32, 126), (0xA1, 0x17F), (0x391, 0x3C9), (0x410, 0x44F), (0x4E00, 0x4EFF))
    for _ in range(400):
        length = source.randint(1, 40)
        yield "x" + "".join(source.choice(gaps) + source.choice(words) for _ in range(length))
    for _ in range(200):
        length = source.randint(1, 40)
        text = "".join(chr(source.randint(*source.choice(scripts))) for _ in range(length))
        yield f"x{text}x"


@needs_vocabularies
def test_pegasus_ids_and_text_are_those_of_hugging_face(
    real: Mapping[str, Tokenizer], hugging_face: Any
) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(real_path("pegasus")))
    for text in many_texts(processor, random.Random(1)):
        ids = real["pegasus"].encode(text).token_ids
        assert list(ids) == hugging_face(text).input_ids, text
        assert real["pegasus"].decode(ids) == hugging_face.decode(ids, skip_special_tokens=True)


@needs_vocabularies
def test_parsed_special_tokens_are_those_of_hugging_face(hugging_face: Any) -> None:
    parsing = Tokenizer.load(real_path("pegasus"), SPECS["pegasus"], parse_special_tokens=True)
    source = random.Random(2)
    literals = list(parsing.special_tokens)
    words = ["the", "bank's", "smooth flow", "1,600", "<n>", "42%", "[MASK]", "<s>", "<unk_1>"]
    for literal in literals:
        assert hugging_face.convert_tokens_to_ids(literal) == parsing.special_tokens[literal]
    for _ in range(300):
        parts = [
            source.choice(literals) + source.choice(["", " "]) + source.choice(words)
            for _ in range(source.randint(1, 10))
        ]
        text = source.choice(words) + "".join(parts)
        assert list(parsing.encode(text).token_ids) == hugging_face(text).input_ids, text


@needs_vocabularies
@pytest.mark.parametrize("text", ["the bank ", "the bank\n", "the bank <mask_1> the"])
def test_hugging_face_alone_makes_a_token_of_whitespace_before_an_end(
    hugging_face: Any, text: str
) -> None:
    parsing = Tokenizer.load(real_path("pegasus"), SPECS["pegasus"], parse_special_tokens=True)
    ids = hugging_face(text).input_ids
    assert ids.count(110) == 1
    assert list(parsing.encode(text).token_ids) == [index for index in ids if index != 110]


@needs_vocabularies
def test_hugging_face_differs_in_the_other_documented_ways(
    real: Mapping[str, Tokenizer], hugging_face: Any
) -> None:
    pegasus = real["pegasus"]
    for text in ("…\u0301x", "\u2034\u2032\u2032x"):
        assert list(pegasus.encode(text).token_ids) != hugging_face(text).input_ids
    ids = [110, 110, 413]
    assert (pegasus.decode(ids), hugging_face.decode(ids)) == ("To", "  To")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_that_is_larger_than_a_vocabulary_can_be_is_not_read(
    tmp_path: Path, layout: str
) -> None:
    path = tmp_path / "spiece.model"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BundleError, match=rf"cannot be read: it has {2**40} bytes, expected at mo"):
        Tokenizer.load(path, SPECS[layout])
