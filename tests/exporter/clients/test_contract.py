"""contract.md and test_vectors.json, held against the bundle that they are in."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import transformers

from exporter.clients.test_meanings import GENERATE
from pegasus_export.clients.contract import expand_layers, write_contract
from pegasus_export.clients.vectors import make_vectors
from pegasus_runtime.bundle import FileRecord, GraphSpec, TensorSpec, open_bundle

SEQ2SEQ, CAUSAL = "PegasusForConditionalGeneration", "PegasusForCausalLM"
BIGBIRD = "BigBirdPegasusForConditionalGeneration"
TinyBundle = Callable[..., Path]
ROW = re.compile(r"\| (in|out) \| `(\S+)` \| (\w+) \| \[(.*)\] \| (.+) \|$")


def _sections(text: str) -> dict[str, list[str]]:
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {name: part.splitlines() for name, part in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.parametrize("architecture", [SEQ2SEQ, CAUSAL, "PegasusModel", BIGBIRD])
def test_the_contract_has_every_tensor_of_every_graph(
    architecture: str, tiny_bundle: TinyBundle
) -> None:
    folder = tiny_bundle(architecture, "onnx")
    manifest = open_bundle(folder, check_hashes=True).manifest
    sections = _sections((folder / "contract.md").read_text())
    for graph in manifest.graphs.values():
        session = onnxruntime.InferenceSession(folder / graph.file)
        expected = [("in", each) for each in session.get_inputs()]
        expected += [("out", each) for each in session.get_outputs()]
        rows = [match.groups() for match in map(ROW.match, sections[graph.file]) if match]
        told = {
            (kind, name): (dtype, shape)
            for kind, row, dtype, shape, _ in rows
            for name in expand_layers(row, manifest.architecture.decoder_layers)
        }
        assert told.keys() == {(kind, each.name) for kind, each in expected}
        for kind, each in expected:
            dtype, shape = told[kind, each.name]
            types = {"float32": "tensor(float)", "int64": "tensor(int64)", "bool": "tensor(bool)"}
            assert each.type == types[dtype]
            assert shape == ", ".join(map(str, each.shape))


def test_the_contract_tells_tokens_caches_and_a_loop(tiny_bundle: TinyBundle) -> None:
    text = (tiny_bundle(SEQ2SEQ, "onnx") / "contract.md").read_text()
    sections = _sections(text)
    tokens = "\n".join(sections["Tokens"])
    for part in ("has the token id i + 103, from piece 2 on", "below 106, but for 105", "EOS is 1"):
        assert part in tokens
    assert "Pad is 0" in tokens
    assert "starts with 0" in tokens
    assert "past_key_values" in "\n".join(sections["Caches"])
    assert "use_cache_branch" in "\n".join(sections["A greedy loop"])
    bigbird = (tiny_bundle(BIGBIRD, "onnx") / "contract.md").read_text()
    assert "has the token id i. No" in bigbird
    features = _sections((tiny_bundle("PegasusModel", "onnx") / "contract.md").read_text())
    assert "A greedy loop" not in features


def test_a_tokenizer_that_is_not_known_is_said_to_be_the_checkpoints_own(
    tiny_bundle: TinyBundle,
) -> None:
    bundle = open_bundle(tiny_bundle(SEQ2SEQ, "onnx"))
    manifest = dataclasses.replace(bundle.manifest, tokenizer=None)
    assert make_vectors(dataclasses.replace(bundle, manifest=manifest)) is None
    text = write_contract(manifest, None)
    assert "The tokenizer is the checkpoint's own" in text
    assert "Test vectors" not in text


def test_a_graph_that_generates_by_itself_has_its_section_and_vectors(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    whole = open_bundle(shutil.copytree(tiny_bundle(SEQ2SEQ, "onnx"), tmp_path / "bundle"))
    spec = write_generation_stand_in(whole.folder / "generate.onnx", [7, 8, 1])
    files = {**whole.manifest.files, spec.file: FileRecord(bytes=1, sha256="0" * 64)}
    graphs = {"generate": spec}
    manifest = dataclasses.replace(whole.manifest, graphs=graphs, files=files)
    vectors = make_vectors(dataclasses.replace(whole, manifest=manifest))
    assert vectors is not None
    assert [each.tokens for each in vectors.vectors] == [{"generate": [7, 8, 1]}] * 3
    sections = _sections(write_contract(manifest, vectors))
    rows = [match.groups() for match in map(ROW.match, sections["generate.onnx"]) if match]
    assert ("in", "num_beams", "int64", "") in {row[:4] for row in rows}
    assert len(rows) == len(spec.inputs) + len(spec.outputs)
    assert "A greedy loop" not in sections


def write_generation_stand_in(path: Path, tokens: Sequence[int]) -> GraphSpec:
    """What target onnx calls generate, and always the same summary."""
    floats = ("length_penalty", "repetition_penalty", "scores")
    answers = {"sequences": [[tokens]], "lengths": [[len(tokens)]], "scores": [[0.5]]}

    def spec(name: str, shape: tuple[int | str, ...]) -> TensorSpec:
        return TensorSpec(name=name, dtype="float32" if name in floats else "int64", shape=shape)

    inputs = [spec(name, ("batch", "source")) for name in GENERATE[:2]]
    inputs += [spec(name, ()) for name in GENERATE[2:-3]]
    outputs = [
        spec(name, ("batch", "returned", "target")[: np.ndim(answers[name])])
        for name in GENERATE[-3:]
    ]
    nodes = [
        onnx.helper.make_node(
            "Constant",
            [],
            [each.name],
            value=onnx.numpy_helper.from_array(np.array(answers[each.name], each.dtype)),
        )
        for each in outputs
    ]
    described = [
        [
            onnx.helper.make_tensor_value_info(
                each.name,
                onnx.helper.np_dtype_to_tensor_dtype(np.dtype(each.dtype)),
                list(each.shape),
            )
            for each in tensors
        ]
        for tensors in (inputs, outputs)
    ]
    graph = onnx.helper.make_graph(nodes, "generate", *described)
    opsets = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return GraphSpec(file=path.name, inputs=tuple(inputs), outputs=tuple(outputs))


class Client:
    """Another one than the exporter's: the two decoders that are not merged, cache by cache."""

    def __init__(self, folder: Path) -> None:
        names = ("encoder_model", "decoder_model", "decoder_with_past_model")
        self.sessions = [onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in names]

    def generate(self, ids: Sequence[int], start: int, ends: Sequence[int], most: int) -> list[int]:
        encoder, first, later = self.sessions
        source = np.array([ids])
        mask = np.ones_like(source)
        (states,) = encoder.run(None, {"input_ids": source, "attention_mask": mask})
        given = {"encoder_attention_mask": mask, "encoder_hidden_states": states}
        tokens, past, session = [start], dict[str, Any](), first
        while len(tokens) <= most:
            feeds = {"input_ids": np.array([[tokens[-1]]]), **given, **past}
            names = [each.name for each in session.get_outputs()]
            known = {each.name for each in session.get_inputs()}
            outputs = session.run(
                names, {name: value for name, value in feeds.items() if name in known}
            )
            for name, value in zip(names[1:], outputs[1:], strict=True):
                past[name.replace("present", "past_key_values")] = value
            session = later
            tokens.append(int(outputs[0][0, -1].argmax()))
            if tokens[-1] in ends:
                break
        return tokens[1:]


def test_another_client_gives_the_tokens_of_the_vectors(tiny_bundle: TinyBundle) -> None:
    folder = tiny_bundle(SEQ2SEQ, "onnx")
    told = json.loads((folder / "test_vectors.json").read_text())
    client, contract = Client(folder), (folder / "contract.md").read_text()
    assert len(told["vectors"]) == 3
    for vector in told["vectors"]:
        (tokens,) = vector["tokens"].values()
        assert list(vector["tokens"]) == ["decoder_model_merged"]
        found = client.generate(
            vector["token_ids"],
            told["decoder_start_token_id"],
            told["eos_token_ids"],
            told["max_new_tokens"],
        )
        assert tokens == found
        assert f"- decoder_model_merged: {' '.join(map(str, tokens))}: " in contract


@torch.no_grad()
def test_a_prompt_goes_on_as_in_transformers(
    tiny_bundle: TinyBundle, tiny_checkpoint: Callable[..., Path]
) -> None:
    told = json.loads((tiny_bundle(CAUSAL, "onnx") / "test_vectors.json").read_text())
    model: Any = transformers.PegasusForCausalLM.from_pretrained(
        tiny_checkpoint(CAUSAL), dtype=torch.float32
    )
    for vector in told["vectors"]:
        prompt, tokens = vector["token_ids"], vector["tokens"]["model"]
        assert prompt[-1] not in told["eos_token_ids"]
        (expected,) = model.generate(
            input_ids=torch.tensor([prompt]),
            do_sample=False,
            num_beams=1,
            max_new_tokens=len(tokens),
            forced_eos_token_id=None,
        ).tolist()
        assert expected == prompt + tokens
