"""What Node and the page share: the tokenizer, and the loop that gives one token at a time."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from examples.client import CLIENTS, EXAMPLES, summarize_in_python
from examples.conftest import ClientCase
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.tokenization.tokenizer import Tokenizer

MODULES = """
import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";
import { Tokenizer } from "@huggingface/tokenizers";
import { makeTokenizer } from "../web/tokenizer.mjs";
import { checkSettings, generateOneBeam } from "../web/one_beam.mjs";
const [bundle, request] = process.argv.slice(1).map((word) => JSON.parse(word));
const read = (name) => JSON.parse(readFileSync(`${bundle}/${name}`, "utf8"));
const manifest = read("manifest.json");
const tokenizer = makeTokenizer(Tokenizer, read("tokenizer.json"), manifest.tokenizer);
"""
BACK_AND_FORTH = """
const texts = JSON.parse(readFileSync(request, "utf8"));
const answer = texts.map((text) => {
  const ids = tokenizer.encode(text);
  return [ids, tokenizer.decode(ids)];
});
console.log(JSON.stringify(answer));
"""
ONE_BEAM = """
const open = (name) => ort.InferenceSession.create(`${bundle}/${manifest.graphs[name].file}`);
const [encoder, decoder] = [await open("encoder_model"), await open("decoder_model_merged")];
for (const [text, settings] of request) {
  const ids = tokenizer.encode(text);
  const found = [];
  for await (const id of generateOneBeam({ ort, encoder, decoder, manifest, settings, ids })) {
    found.push(id);
  }
  console.log(JSON.stringify(found));
}
"""
SETTINGS: list[
    dict[str, float]
] = [  # with the penalty, the tiny checkpoint's rows end by themselves
    {"max_length": 24, "min_length": 5, "no_repeat_ngram_size": 0, "repetition_penalty": 1.0},
    {"max_length": 9, "min_length": 9, "no_repeat_ngram_size": 2, "repetition_penalty": 1.0},
    {"max_length": 24, "min_length": 0, "no_repeat_ngram_size": 0, "repetition_penalty": 3.0},
    {"max_length": 24, "min_length": 3, "no_repeat_ngram_size": 0, "repetition_penalty": 3.0},
    {"max_length": 24, "min_length": 4, "no_repeat_ngram_size": 0, "repetition_penalty": 3.0},
]
WRITTEN = (
    "The old miller </s> sold <pad> a <mask_1> red <unk_7> boat <unk> in <n> March<n>.",
    "  a\tb\r\nc \u3000d\u00a0 ",
    "\u200ba zero\u200b width\u200b",
    "½ ﬁ ① Ⅷ ㎏ İ ß e\u0301 é",
    "▁ the ▁▁",
    "日本語 тест 한국어 👩\u200d🚀🏽 x",
    "don't “quote” …",
    "😀" * 50,
    "\u00ad\ufeff\ud800 soft",
)

pytestmark = pytest.mark.skipif(bool(CLIENTS["node"].lacks), reason=CLIENTS["node"].lacks)


def ask_node(program: str, bundle: Path, request: object) -> list[Any]:
    """The lines that it prints, each a value in JSON."""
    words = [json.dumps(str(bundle)), json.dumps(request)]
    ran = subprocess.run(
        ["node", "--input-type=module", "--eval", MODULES + program, *words],
        cwd=EXAMPLES / "node",
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def odd_texts(count: int) -> list[str]:
    """Of characters that normalisation changes, joins, or makes spaces of."""
    pick = random.Random(20)
    blocks = [(32, 127), (160, 400), (0x300, 0x340), (0x2000, 0x2070), (0x3000, 0x30FF)]
    characters = [chr(code) for first, end in blocks for code in range(first, end)]
    characters += ["ﬁ", "\uff21", "👍", "🏽", "\u200d", "<n>", " the ", " boat"]
    return [
        "".join(pick.choice(characters) for _ in range(pick.randint(1, 40))) for _ in range(count)
    ]


def test_ids_and_texts_are_those_of_sentencepiece(client_case: ClientCase, tmp_path: Path) -> None:
    spec = open_bundle(client_case.bundle).manifest.tokenizer
    assert spec is not None
    ours = Tokenizer.load(client_case.bundle / spec.file, spec)
    texts = [text for text in (*WRITTEN, *client_case.texts, *odd_texts(300)) if text.strip()]
    file = tmp_path / "texts.json"
    file.write_text(json.dumps(texts))
    (found,) = ask_node(BACK_AND_FORTH, client_case.bundle, str(file))
    for text, (ids, back) in zip(texts, found, strict=True):
        assert tuple(ids) == ours.encode(text).token_ids, text
        assert back == ours.decode(ids), text


def test_spaces_are_cleaned_up_where_the_checkpoint_asks_for_it(client_case: ClientCase) -> None:
    program = """
    const spec = { ...manifest.tokenizer, clean_up_spaces: true };
    const tidy = makeTokenizer(Tokenizer, read("tokenizer.json"), spec);
    for (const each of [tokenizer, tidy]) {
      console.log(JSON.stringify(each.decode(each.encode(request))));
      console.log(JSON.stringify(each.decode([1])));
    }
    """
    text = "The old miller , they said ."
    expected = [text, "", "The old miller, they said.", ""]
    assert ask_node(program, client_case.bundle, text) == expected


def test_one_beam_gives_the_tokens_of_the_whole_graph(client_case: ClientCase) -> None:
    texts = client_case.texts
    pairs = [(text, each) for each in SETTINGS for text in texts]
    found = ask_node(ONE_BEAM, client_case.bundle, pairs)
    expected = [
        rows[0].token_ids
        for each in SETTINGS
        for rows in summarize_in_python(client_case.bundle, texts, num_beams=1, **each)
    ]
    assert [tuple(ids) for ids in found] == expected


def test_settings_that_one_beam_does_not_follow_are_refused(client_case: ClientCase) -> None:
    program = """
    checkSettings(manifest.generation);
    try { checkSettings(request); } catch (error) { console.log(JSON.stringify(error.message)); }
    """
    without_effect = {"max_new_tokens": 9, "top_k": 5, "do_sample": False, "prefix": "a"}
    generation = {"num_beams": 4, "suppress_tokens": [4], "sequence_bias": []} | without_effect
    (message,) = ask_node(program, client_case.bundle, generation)
    assert message == "one beam does not follow suppress_tokens, sequence_bias: use beams"
