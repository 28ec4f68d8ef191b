"""Every tensor that target onnx has is told of in words."""

from collections.abc import Callable

import pytest

from exporter.tiny_checkpoint import ARCHITECTURES
from pegasus_export.checkpoint.architectures import ARCHITECTURES as KNOWN
from pegasus_export.clients.meanings import graph_meaning, tensor_meaning
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.stages.bundle_kinds import find_kind

GENERATE = (
    *("input_ids", "attention_mask", "num_beams", "max_length", "min_length", "length_penalty"),
    *("early_stopping", "no_repeat_ngram_size", "repetition_penalty", "num_return_sequences"),
    *("sequences", "lengths", "scores"),
)


def _with_l(name: str) -> str:
    return ".".join("L" if part.isdigit() else part for part in name.split("."))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_graph_of_target_onnx_has_words(
    architecture: str, tiny_pegasus: Callable[[str], Pegasus]
) -> None:
    for task in KNOWN[architecture].tasks:
        kind = find_kind("onnx", task, "fp32", num_beams=1)
        told: dict[str, set[str]] = {}
        for definition in kind.graphs(tiny_pegasus(architecture)):
            names = [each.name for each in definition.inputs()] + list(definition.outputs)
            told[definition.name] = set(names)
            assert graph_meaning(definition.name, task)
        decoders = [names for name, names in told.items() if name.startswith("decoder")]
        if decoders:
            told["decoder_model_merged"] = set.union({"use_cache_branch"}, *decoders)
        for graph, names in told.items():
            for suffix in ("", "_quantized", "_fp16") if graph != "model" else ("",):
                assert graph_meaning(f"{graph}{suffix}", task)
                for name in names:
                    assert tensor_meaning(f"{graph}{suffix}", task, _with_l(name))


@pytest.mark.parametrize("name", GENERATE)
def test_the_graph_that_generates_has_words(name: str) -> None:
    assert graph_meaning("generate", "summarization")
    assert tensor_meaning("generate", "summarization", name)


def test_the_same_name_means_what_its_graph_makes_of_it() -> None:
    logits = {
        tensor_meaning("model", task, "logits")
        for task in ("text-generation", "text-classification")
    }
    ids = {
        tensor_meaning(graph, "summarization", "input_ids")
        for graph in ("encoder_model", "decoder_model")
    }
    assert (len(logits), len(ids)) == (2, 2)


def test_what_has_no_words_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^graph other has no meaning, expected one in meanings"):
        graph_meaning("other", "summarization")
    with pytest.raises(ValueError, match=r"^graph model has no meaning, expected one in meanings"):
        graph_meaning("model", "summarization")
    with pytest.raises(ValueError, match=r"^odd of graph encoder_model has no meaning, expected"):
        tensor_meaning("encoder_model", "summarization", "odd")
