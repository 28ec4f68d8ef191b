"""Randeng-Pegasus's own tokenizer: its ids and its text, or a refusal by name.

Its code is not ours to copy: the reference is written from its rules, and the literal ids and texts
are what that code gave, on transformers 5.23.
"""

import json
import random
import re
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from exporter.real_jieba import cut_by_jieba
from exporter.tiny_checkpoint import write_tiny_checkpoint
from exporter.tokenizer_texts import edit_json, planned, tokenizer_of
from pegasus_export.errors import CheckpointError, UnsupportedError
from pegasus_export.request.export import ExportRequest
from pegasus_export.stages.export import export_bundle

WORDS = [
    *(
        "中国",
        "北京",
        "上海",
        "奔驰",
        "销售",
        "服务",
        "有限",
        "公司",
        "有限公司",
        "经理",
        "报道",
        "公众",
    ),
    *(
        "上午",
        "左右",
        "突击",
        "办事处",
        "管理",
        "人员",
        "一个",
        "我们",
        "他们",
        "今天",
        "天气",
        "研究",
    ),
    *(
        "研究生",
        "生命",
        "起源",
        "大学",
        "学生",
        "经济",
        "发展",
        "问题",
        "世界",
        "新闻",
        "记者",
        "表示",
    ),
]
CHINESE = [
    *"中国人大小上下左右的是了在有不我他你今天气北京学命日恤卡拉股生",
    *map(chr, range(0x4E00, 0x5200, 3)),
]
MARKS = [*"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", *"。、，！？“”…—·《》（）：；【】〜％．"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
LATIN = [
    *("the", "of", "un", "##aff", "##able", "s", "t", "ve", "ll", "12", "2021", "NBA"),
    *("A股", "卡拉ok", "é", "##é", "ς", "か", "##が", "😀", "½", "\u3000"),
]
SPECIAL_LINES = ["[PAD]", *(f"[unused{each}]" for each in range(1, 10)), "[UNK]", "[CLS]", "[SEP]"]
PIECES = [*LETTERS, *(f"##{each}" for each in LETTERS)]
TOKENS = list(dict.fromkeys([*SPECIAL_LINES, "[MASK]", *WORDS, *CHINESE, *MARKS, *PIECES, *LATIN]))
RENAMED = {
    "[PAD]": "<pad>",
    "[unused1]": "</s>",
    "[unused2]": "<mask_1>",
    "[unused3]": "<mask_2>",
    "[UNK]": "<unk>",
}
IDS = {RENAMED.get(token, token): number for number, token in enumerate(TOKENS)}
SPECIAL = ("<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>", "[CLS]", "[SEP]")
ALPHABETS: tuple[Sequence[str], ...] = (
    WORDS,
    CHINESE,
    [chr(code) for code in range(0x4E00, 0xA000)],
    list("abcdefg hijk lmnop qrst uvwxyz"),
    ["NBA", "Éa", "T恤", "A股", "卡拉OK", "C++", "unaffable "],
    list("0123456789.%-"),
    MARKS,
    list("éèüñçßÅǅİΣςσẞﬁ½㎏Ⅷ①"),
    list("\u0301\u0308\u0327\u20dd\u0489"),
    ["😀", "👍🏽", "👨\u200d👩", "🇩🇪", "\ufe0f", "\ufffd", "\ue000", "\u0378", "\U0002b825"],
    list(" \t\n\r\u00a0\u3000\u2003\u2028\u200b\ufeff\x85\x0b\u202f\u00ad\0"),
    ["한국어", "か", "ｶﾞ", "ไทย", "हिन्दी", "עברית", "ＡＢｃ１２"],
    [*SPECIAL, "[MASK]", "<unk_3>"],
    ["a" * 100, "a" * 101, "é" * 101],
)


def _is_chinese(char: str) -> bool:
    return bool(
        re.match("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df]", char)
    ) or (0x2A700 <= ord(char) <= 0x2CEAF or 0x2F800 <= ord(char) <= 0x2FA1F)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "P" or char in "$+<=>^`|~"


def _reference_ids(text: str) -> list[int]:
    ids: list[int] = []
    for part in re.split("(" + "|".join(map(re.escape, SPECIAL)) + ")", text):
        for word in [part] if part in SPECIAL else cut_by_jieba(part):
            ids += [IDS[word]] if word in IDS else _reference_pieces(word)
    return [*ids, 1]


def _reference_pieces(word: str) -> list[int]:
    read = [" " if char in "\t\r\n" else char for char in word if char != "\ufffd"]
    text = "".join(each for each in read if unicodedata.category(each)[0] != "C")
    text = re.sub(r"(.)", lambda m: f" {m[1]} " if _is_chinese(m[1]) else m[1], text)
    text = unicodedata.normalize("NFD", text.lower())
    text = "".join(each for each in text if unicodedata.category(each) != "Mn")
    text = "".join(f" {each} " if _is_mark(each) else each for each in text)
    found: list[int] = []
    for piece in text.split():
        rest, ids = piece, []
        while rest and len(piece) <= 100:
            prefix = "##" if ids else ""
            size = next((n for n in range(len(rest), 0, -1) if prefix + rest[:n] in IDS), 0)
            if not size:
                break
            ids.append(IDS[prefix + rest[:size]])
            rest = rest[size:]
        found += [IDS["<unk>"]] if rest else ids
    return found


def _reference_text(ids: Sequence[int]) -> str:
    names = {number: token for token, number in IDS.items()}
    text = ""
    for token in (names[each] for each in ids if names[each] not in SPECIAL or each == 2):
        if token.startswith("##"):
            text += token[2:]
        elif len(token) == 1 and (_is_chinese(token) or _is_mark(token)):
            text += token if _is_chinese(token) else f"{token} "
        else:
            text += token if text and _is_chinese(text[-1]) else f" {token}"
    text = re.sub("' (re|m|s|t|ve|d|ll) ", r"'\1 ", re.sub(" +", " ", text))
    tight = (
        "＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､\u3000、〃〈〉《》「」『』【】〔〕〖〗〘〙〚〛"
        "〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏﹑﹔·！？｡。+-/={(<["
    )
    text = re.sub("(" + "|".join(map(re.escape, tight)) + ") ", r"\1", text)
    return re.sub(r"(\d\.) (\d)", r"\1\2", text).strip()


def _checkpoint(folder: Path, **settings: Any) -> Path:
    """As the published ones have their files."""
    ids = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    write_tiny_checkpoint(
        folder,
        vocab_size=len(TOKENS) + 8,
        generation={**ids, "forced_eos_token_id": 1},
        **ids,
    )
    for name in ("spiece.model", "special_tokens_map.json"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    fields = {"tokenizer_class": "PegasusTokenizer", **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def test_ids_are_those_of_the_rules(tmp_path: Path) -> None:
    got = tokenizer_of(_checkpoint(tmp_path / "checkpoint"), tmp_path)
    draw = random.Random(0)
    for _ in range(2000):
        chosen = draw.sample(ALPHABETS, draw.randint(1, 5))
        text = "中" + "".join(draw.choice(draw.choice(chosen)) for _ in range(draw.randint(1, 60)))
        assert list(got.encode(text).token_ids) == _reference_ids(text), repr(text)


def test_text_is_that_of_the_rules(tmp_path: Path) -> None:
    got = tokenizer_of(_checkpoint(tmp_path / "checkpoint"), tmp_path)
    often = [IDS[token] for token in (*MARKS, *LATIN, *WORDS, "0", "1", "re", "m") if token in IDS]
    draw = random.Random(1)
    for _ in range(2000):
        ids = [
            draw.choice(often) if draw.random() < 0.8 else draw.randrange(len(TOKENS))
            for _ in range(draw.randint(0, 25))
        ]
        assert got.decode(ids) == _reference_text(ids), ids


LITERALS: list[tuple[str, list[int], str]] = [
    (
        "我们今天在北京大学研究生命起源。",
        [33, 35, 62, 71, 72, 53, 73, 37, 39, 40, 453, 1],
        "我们今天在北京大学研究生命起源。",
    ),
    (
        "上海奔驰销售服务有限公司，4日 12.5% NBA's!",
        [16, 17, 18, 19, 22, 455, 504, 75, 553, 434, 505, 425, 555, 427, 492, 421, 1],
        "上海奔驰销售服务有限公司，4日12.5% NBA' s!",
    ),
    (
        "Unaffable café T恤 A股 卡拉OK C++",
        [548, 549, 550, 476, 510, 515, 558, 493, 76, 556, 77, 78, 488, 520, 476, 431, 431, 1],
        "unaffable caf é t恤A股卡拉ok c++",
    ),
    (
        "中国<mask_1>《新闻》（记者）表示…… 2021-12",
        [14, 2, 463, 47, 464, 465, 48, 466, 49, 460, 460, 554, 433, 553, 1],
        "中国<mask_1>《新闻》（记者）表示……2021-12",
    ),
    ("<mask_2>一个\r\n问题 [SEP] 🙂 世界", [3, 32, 45, 12, 10, 46, 1], "一个问题世界"),
]


@pytest.mark.parametrize(("text", "ids", "decoded"), LITERALS)
def test_ids_and_text_are_those_of_the_published_code(
    tmp_path: Path, text: str, ids: list[int], decoded: str
) -> None:
    got = tokenizer_of(_checkpoint(tmp_path / "checkpoint"), tmp_path)
    assert list(got.encode(text).token_ids) == ids
    assert got.decode(ids) == decoded


def test_special_tokens_are_text_unless_they_are_parsed(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path / "checkpoint")
    parsed, text = tokenizer_of(folder, tmp_path), tokenizer_of(folder, tmp_path, parse=False)
    assert parsed.special_tokens == {token: IDS[token] for token in SPECIAL}
    assert parsed.encode("中</s>国").token_ids == (IDS["中"], 1, IDS["国"], 1)
    found = ("中", "<", "/", "s", ">", "国", "</s>")
    assert text.encode("中</s>国").token_ids == tuple(IDS[token] for token in found)


def test_every_token_has_its_characters(tmp_path: Path) -> None:
    text = "我们 Unaffable\n中国☃"
    pieces = tokenizer_of(_checkpoint(tmp_path / "checkpoint"), tmp_path).encode_pieces(text)
    assert [text[start:end] for start, end in pieces.offsets] == [
        *("我们", "Un", "aff", "able", "中国", "☃")
    ]


def test_added_tokens_are_found_and_written(tmp_path: Path) -> None:
    folder = _checkpoint(
        tmp_path / "checkpoint",
        additional_special_tokens=["<mask_1>", "<人>"],
        added_tokens_decoder={str(len(TOKENS)): {"content": "大北京", "normalized": True}},
    )
    got = tokenizer_of(folder, tmp_path)
    ids = (len(TOKENS), IDS["人"], len(TOKENS) + 1, 1)
    assert got.encode("大北京人<人>").token_ids == ids
    assert got.decode(ids) == "大北京人"


def test_a_bundle_writes_the_summary_of_transformers(tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    from pegasus_runtime import Summarizer

    folder = _checkpoint(tmp_path / "checkpoint")
    bundle = tmp_path / "bundle"
    report = export_bundle(ExportRequest(model=str(folder), output=bundle))
    assert any("the dictionary of jieba" in note for note in report.notes)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    with Summarizer.load(bundle) as summarizer:
        for text in (
            "我们今天在北京大学。",
            "中国经济发展 of 2021, NBA?",
            "上海奔驰销售服务有限公司",
        ):
            with torch.no_grad():
                ids = model.generate(torch.tensor([_reference_ids(text)]))[0].tolist()
            named = [token_id for token_id in ids if token_id < len(TOKENS)]
            assert summarizer.summarize([text])[0].text == _reference_text(named)


def test_a_folder_without_a_class_is_known_by_its_eos(tmp_path: Path) -> None:
    (_checkpoint(tmp_path) / "tokenizer_config.json").unlink()
    plan = planned(tmp_path)
    assert (plan.spec.kind, plan.spec.suffix_ids) == ("randeng", (1,))
    assert plan.content == (tmp_path / "vocab.txt").read_bytes()


def test_fillers_without_a_row_are_counted_in_the_note(tmp_path: Path) -> None:
    fillers = [f"<unk_{number}>" for number in range(1, 99)]
    plan = planned(_checkpoint(tmp_path, additional_special_tokens=["<mask_1>", *fillers]))
    assert plan.notes[1].endswith(
        "none for the added <unk_9>, <unk_10>, <unk_11>, <unk_12>, <unk_13>, <unk_14>, <unk_15>, "
        "<unk_16> and 82 more: read as text; transformers fails on a text that has one"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: edit_json(folder / "config.json", eos_token_id=5),
        lambda folder: edit_json(folder / "tokenizer_config.json", tokenizer_class="T5Tokenizer"),
    ],
)
def test_other_code_is_refused(tmp_path: Path, change: Any) -> None:
    change(_checkpoint(tmp_path))
    match = r"whose \[SEP\] is not the EOS of config\.json, as BERT's is, nor \[unused1\], as Rand"
    with pytest.raises(UnsupportedError, match=match):
        planned(tmp_path)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"eos_token": "<eos>"}, "has eos_token '<eos>' for its tokenizer, expected '</s>' as Ra"),
        ({"do_basic_tokenize": False}, "has do_basic_tokenize False for its tokenizer, expected"),
        ({"never_split": ["a"]}, r"has never_split \['a'\] for its tokenizer, expected None as"),
        ({"mask_token_sent": None}, "has mask_token_sent None for its tokenizer, expected '<mask"),
    ],
)
def test_settings_that_change_ids_are_refused(
    tmp_path: Path, fields: dict[str, Any], match: str
) -> None:
    with pytest.raises(UnsupportedError, match=match):
        planned(_checkpoint(tmp_path, **fields))


@pytest.mark.parametrize(
    ("gone", "match"),
    [
        ("[unused3]", r"has no line \[unused3\], which Randeng-Pegasus's tokenizer needs: take"),
        ("[CLS]", r"has no line \[CLS\], which Randeng-Pegasus's tokenizer needs: take the"),
    ],
)
def test_a_vocabulary_without_a_special_token_is_refused(
    tmp_path: Path, gone: str, match: str
) -> None:
    path = _checkpoint(tmp_path) / "vocab.txt"
    path.write_text(path.read_text(encoding="utf-8").replace(gone, "gone"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=match):
        planned(tmp_path)


def test_a_missing_library_is_a_note_where_users_bring_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _checkpoint(tmp_path / "checkpoint")
    monkeypatch.setitem(sys.modules, "jieba", None)
    request = ExportRequest(model=str(folder), output=tmp_path / "bundle", target="onnx")
    notes = export_bundle(request).notes
    assert any(
        note.endswith("is not installed: this target carries the files alone") for note in notes
    )
