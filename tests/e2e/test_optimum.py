"""Target `onnx` in Optimum, unchanged: it loads, and generates transformers' tokens.

Optimum lives in an environment of its own (`python benchmarks/peers.py optimum`), as it needs an
older transformers than the oracle.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
import transformers

from e2e.optimum_process import AskOptimum

SOURCES = [[120, 131, 140, 115, 1], [110, 111, 112, 113, 114, 125, 160, 1], [150, 1]]
LONG_SOURCES = [[*(106 + 7 * i % 80 for i in range(n)), 1] for n in (70, 41, 20)]  # full to 36
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_beams": 1},
    {"num_beams": 8, "max_length": 20, "length_penalty": 0.8},
    {"num_beams": 3, "max_length": 16, "no_repeat_ngram_size": 2},
]
PROMPTS = [[0, 120, 131], [0, 140, 150]]

GENERATE = """
import torch
from optimum import onnxruntime
folder, loader, rows, options, loading = request
model = getattr(onnxruntime, loader).from_pretrained(folder, **loading)
longest = max(map(len, rows))
ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
answer = [model.generate(input_ids=ids, attention_mask=mask, **each).tolist() for each in options]
"""
MERGE = """
from pathlib import Path
from optimum.onnx import merge_decoders
folder, output = map(Path, request)
decoders = [folder / f"{name}.onnx" for name in ("decoder_model", "decoder_with_past_model")]
merge_decoders(*decoders, save_path=output, strict=False)
answer = None
"""
FEATURES = """
import torch
from optimum.onnxruntime import ORTModelForCustomTasks
folder, ids, decoder_ids = request
model = ORTModelForCustomTasks.from_pretrained(folder)
ids = torch.tensor(ids)
output = model(
    input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=torch.tensor(decoder_ids)
)
answer = [output.last_hidden_state.tolist(), output.encoder_last_hidden_state.tolist()]
"""


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("architecture", "loader", "rows", "loading"),
    [
        ("PegasusForConditionalGeneration", "ORTModelForSeq2SeqLM", SOURCES, {"use_merged": True}),
        ("PegasusForConditionalGeneration", "ORTModelForSeq2SeqLM", SOURCES, {"use_merged": False}),
        ("PegasusForCausalLM", "ORTModelForCausalLM", PROMPTS, {}),
        ("BigBirdPegasusForConditionalGeneration", "ORTModelForSeq2SeqLM", LONG_SOURCES, {}),
    ],
)
def test_optimum_loads_the_onnx_target_and_generates_the_tokens_of_transformers(
    architecture: str,
    loader: str,
    rows: list[list[int]],
    loading: dict[str, bool],
    ask_optimum: AskOptimum,
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
) -> None:
    folder = str(tiny_bundle(architecture, "onnx"))
    found = ask_optimum(GENERATE, [folder, loader, rows, OPTIONS, loading])
    model = getattr(transformers, architecture).from_pretrained(
        tiny_checkpoint(architecture), dtype=torch.float32
    )
    ids, mask = padded(rows)
    for options, tokens in zip(OPTIONS, found, strict=True):
        if architecture.startswith("BigBird"):
            model.get_encoder().set_attention_type("block_sparse")
        expected = model.generate(input_ids=ids, attention_mask=mask, **options).tolist()
        assert tokens == expected, options


def test_the_merged_decoder_is_as_optimum_merges_ours(
    ask_optimum: AskOptimum, tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tiny_bundle("PegasusForConditionalGeneration", "onnx")
    ask_optimum(MERGE, [str(folder), str(tmp_path / "merged.onnx")])
    ours = onnx.load(folder / "decoder_model_merged.onnx", load_external_data=False).graph
    theirs = onnx.load(tmp_path / "merged.onnx").graph
    assert (ours.name, ours.input, ours.output) == (theirs.name, theirs.input, theirs.output)
    (our_choice,), (their_choice,) = ours.node, theirs.node
    assert (our_choice.name, our_choice.input) == (their_choice.name, their_choice.input)
    our_branches, their_branches = (
        {each.name: each.g for each in choice.attribute} for choice in (our_choice, their_choice)
    )
    assert our_branches.keys() == their_branches.keys()
    for name, ours in our_branches.items():
        theirs = their_branches[name]
        assert (ours.name, ours.output) == (theirs.name, theirs.output)
        assert Counter(node.op_type for node in ours.node) == Counter(
            node.op_type for node in theirs.node
        )


def test_optimum_runs_the_features_of_the_onnx_target(
    ask_optimum: AskOptimum,
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
) -> None:
    folder = str(tiny_bundle("PegasusModel", "onnx"))
    source, target = [[120, 131, 140, 1], [110, 111, 112, 1]], [[0, 130], [0, 140]]
    found = ask_optimum(FEATURES, [folder, source, target])
    model: Any = transformers.PegasusModel.from_pretrained(
        tiny_checkpoint("PegasusModel"), dtype=torch.float32
    )
    with torch.no_grad():
        expected = model(input_ids=torch.tensor(source), decoder_input_ids=torch.tensor(target))
    for ours, theirs in zip(
        found, (expected.last_hidden_state, expected.encoder_last_hidden_state), strict=True
    ):
        torch.testing.assert_close(torch.tensor(ours), theirs, rtol=1e-4, atol=1e-4)
