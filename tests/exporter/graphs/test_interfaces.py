"""Inputs, outputs, operators and weights of every graph that is offered."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx_ir as ir
import pytest

from pegasus_runtime.bundle import open_bundle

Signature = list[tuple[str, str, tuple[int | str, ...]]]
TinyBundle = Callable[[str, str], Path]

SEQ2SEQ = "PegasusForConditionalGeneration"
MODEL = "PegasusModel"
CAUSAL = "PegasusForCausalLM"
ALL = [(name, target) for name in (SEQ2SEQ, MODEL, CAUSAL) for target in ("ort", "onnx")]
HEADS, HEAD_DIM, D_MODEL, LAYERS = 2, 16, 32, 2
NORM = "AddLayerNormalization"
V = "vocabulary"  # stands for the size of the tiny one

PAST = "past_decoder_sequence_length"
SOURCE = ("batch_size", "encoder_sequence_length")
TARGET = ("batch_size", "decoder_sequence_length")


def _per_layer(name: str, *dims: str) -> Signature:
    shape = (dims[0], HEADS, dims[1], HEAD_DIM)
    return [(f"{name}.{layer}", "float32", shape) for layer in range(LAYERS)]


def _ids(name: str, *dims: str) -> Signature:
    return [(name, "int64", dims)]


def _optimum(prefix: str, lengths: dict[str, str]) -> Signature:
    """Layer by layer, stack by stack, key and value, as Optimum orders them."""
    return [
        (
            ".".join(part for part in (prefix, str(layer), stack, kind) if part),
            "float32",
            ("batch_size", HEADS, length, HEAD_DIM),
        )
        for layer in range(LAYERS)
        for stack, length in lengths.items()
        for kind in ("key", "value")
    ]


STEP_INPUTS: Signature = [
    ("input_ids", "int64", ("rows", 1)),
    ("position", "int32", (1,)),
    ("num_candidates", "int64", (1,)),
    ("cache_indirection", "int32", ("batch", "beams", "time")),
    *_per_layer("past_self_key", "rows", "time"),
    *_per_layer("past_self_value", "rows", "time"),
]
STEP_OUTPUTS: Signature = [
    ("top_scores", "float32", ("rows", "candidates")),
    ("top_ids", "int64", ("rows", "candidates")),
    ("log_probs", "float32", ("rows", V)),
    ("log_normalizer", "float32", ("rows", 1)),
    *_per_layer("present_self_key", "rows", "time"),
    *_per_layer("present_self_value", "rows", "time"),
]
CROSS = [*_per_layer("cross_key", "batch", "source"), *_per_layer("cross_value", "batch", "source")]
FEATURES: tuple[Signature, Signature] = (
    [
        *_ids("input_ids", *SOURCE),
        *_ids("attention_mask", *SOURCE),
        *_ids("decoder_input_ids", *TARGET),
    ],
    [
        ("last_hidden_state", "float32", (*TARGET, D_MODEL)),
        ("encoder_last_hidden_state", "float32", (*SOURCE, D_MODEL)),
    ],
)
BOTH = "past_sequence_length + sequence_length"
EXPECTED: dict[tuple[str, str], dict[str, tuple[Signature, Signature]]] = {
    (SEQ2SEQ, "ort"): {
        "encoder": (
            [*_ids("input_ids", "batch", "source"), *_ids("attention_mask", "batch", "source")],
            CROSS,
        ),
        "decoder_step": (
            [*STEP_INPUTS, *_ids("attention_mask", "batch", "source"), *CROSS],
            STEP_OUTPUTS,
        ),
    },
    (CAUSAL, "ort"): {
        "prefill": (
            [
                *_ids("input_ids", "batch", "new"),
                *_per_layer("past_self_key", "batch", "past"),
                *_per_layer("past_self_value", "batch", "past"),
            ],
            [
                *_per_layer("present_self_key", "batch", "past + new"),
                *_per_layer("present_self_value", "batch", "past + new"),
                ("last_hidden_state", "float32", ("batch", "new", D_MODEL)),
            ],
        ),
        "decoder_step": (STEP_INPUTS, STEP_OUTPUTS),
    },
    (MODEL, "ort"): {"model": FEATURES},
    (MODEL, "onnx"): {"model": FEATURES},
    (SEQ2SEQ, "onnx"): {
        "encoder_model": (
            [*_ids("input_ids", *SOURCE), *_ids("attention_mask", *SOURCE)],
            [("last_hidden_state", "float32", (*SOURCE, D_MODEL))],
        ),
        "decoder_model": (
            [
                *_ids("encoder_attention_mask", *SOURCE),
                *_ids("input_ids", *TARGET),
                ("encoder_hidden_states", "float32", (*SOURCE, D_MODEL)),
            ],
            [
                ("logits", "float32", (*TARGET, V)),
                *_optimum("present", {"decoder": TARGET[1], "encoder": SOURCE[1]}),
            ],
        ),
        "decoder_with_past_model": (
            [
                *_ids("encoder_attention_mask", *SOURCE),
                *_ids("input_ids", *TARGET),
                *_optimum("past_key_values", {"decoder": PAST, "encoder": SOURCE[1]}),
            ],
            [
                ("logits", "float32", (*TARGET, V)),
                *_optimum("present", {"decoder": f"{PAST} + {TARGET[1]}"}),
            ],
        ),
        "decoder_model_merged": (
            [
                *_ids("encoder_attention_mask", *SOURCE),
                *_ids("input_ids", *TARGET),
                ("encoder_hidden_states", "float32", (*SOURCE, D_MODEL)),
                *_optimum("past_key_values", {"decoder": PAST, "encoder": SOURCE[1]}),
                ("use_cache_branch", "bool", (1,)),
            ],
            [
                ("logits", "float32", (*TARGET, V)),
                *_optimum("present", {"decoder": TARGET[1], "encoder": SOURCE[1]}),
            ],
        ),
    },
    (CAUSAL, "onnx"): {
        "model": (
            [
                *_ids("input_ids", "batch_size", "sequence_length"),
                *_ids("attention_mask", "batch_size", BOTH),
                *_optimum("past_key_values", {"": "past_sequence_length"}),
            ],
            [
                ("logits", "float32", ("batch_size", "sequence_length", V)),
                *_optimum("present", {"": BOTH}),
            ],
        )
    },
}


def _graphs(folder: Path) -> Iterator[tuple[str, ir.Model]]:
    for path in sorted(folder.glob("*.onnx")):
        yield path.stem, ir.load(path)


def _signature(values: list[ir.Value], vocab_size: int) -> Signature:
    signature: Signature = []
    for value in values:
        assert value.name is not None
        assert value.dtype is not None
        assert value.shape is not None
        dims = tuple(dim if isinstance(dim, int) else str(dim.value) for dim in value.shape)
        shape = tuple(V if dim == vocab_size else dim for dim in dims)
        signature.append((value.name, value.dtype.numpy().name, shape))
    return signature


@pytest.mark.parametrize(("architecture", "target"), ALL)
def test_inputs_and_outputs_are_as_documented(
    tiny_bundle: TinyBundle, architecture: str, target: str
) -> None:
    folder = tiny_bundle(architecture, target)
    manifest = open_bundle(folder).manifest
    vocab_size = manifest.architecture.vocab_size
    got = {
        name: (
            _signature(list(model.graph.inputs), vocab_size),
            _signature(list(model.graph.outputs), vocab_size),
        )
        for name, model in _graphs(folder)
    }
    assert got == EXPECTED[architecture, target]
    for name, spec in manifest.graphs.items():
        for tensors, (signature, _) in ((spec.inputs, got[name]), (spec.outputs, got[name][::-1])):
            described = [
                (x.name, x.dtype, tuple(V if dim == vocab_size else dim for dim in x.shape))
                for x in tensors
            ]
            assert described == signature


@pytest.mark.parametrize("architecture", [SEQ2SEQ, MODEL, CAUSAL])
def test_target_onnx_has_standard_operators_only(
    tiny_bundle: TinyBundle, architecture: str
) -> None:
    for name, model in _graphs(tiny_bundle(architecture, "onnx")):
        assert {node.domain for node in model.graph.all_nodes()} == {""}, name
        assert dict(model.opset_imports) == {"": 18}
        assert not model.functions


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        (
            SEQ2SEQ,
            {
                "encoder": {
                    "SelfAttention": LAYERS,
                    NORM: 2 * LAYERS,
                },
                "decoder_step": {
                    "SourceAttention": LAYERS,
                    "BeamAttention": LAYERS,
                    NORM: 3 * LAYERS,
                    "LogSoftmaxTopK": 1,
                },
            },
        ),
        (MODEL, {"model": {"SelfAttention": LAYERS, NORM: 5 * LAYERS}}),
        (
            CAUSAL,
            {
                "prefill": {NORM: 2 * LAYERS},
                "decoder_step": {
                    "BeamAttention": LAYERS,
                    NORM: 2 * LAYERS,
                    "LogSoftmaxTopK": 1,
                },
            },
        ),
    ],
)
def test_target_ort_attends_with_operators_of_onnx_runtime_or_ours(
    tiny_bundle: TinyBundle, architecture: str, expected: dict[str, dict[str, int]]
) -> None:
    for name, model in _graphs(tiny_bundle(architecture, "ort")):
        own = Counter(node.op_type for node in model.graph if node.domain)
        assert own == expected.pop(name)
        assert model.opset_imports[""] == 18
        called = {node.op_identifier() for node in model.graph if node.domain == "pegasus_edge"}
        assert set(model.functions) == called
    assert not expected


@pytest.mark.parametrize(("architecture", "target"), ALL)
def test_no_weight_is_there_twice(tiny_bundle: TinyBundle, architecture: str, target: str) -> None:
    places: dict[str, tuple[str, int | None]] = {}
    for name, model in _graphs(tiny_bundle(architecture, target)):
        contents = []
        for value in model.graph.initializers.values():
            tensor = value.const_value
            assert tensor is not None
            assert value.name is not None
            if isinstance(tensor, ir.ExternalTensor):  # the same place in every graph
                place = (str(tensor.location), tensor.offset)
                assert places.setdefault(value.name, place) == place
            if tensor.nbytes > 64 and "embed_positions" not in value.name:  # equal in both stacks
                contents.append(tensor.tobytes())
        assert len(set(contents)) == len(contents), name
    assert len(set(places.values())) == len(places)


@pytest.mark.parametrize(("architecture", "target"), ALL)
def test_weights_have_the_names_of_the_checkpoint(
    tiny_bundle: TinyBundle,
    architecture: str,
    target: str,
    tiny_pegasus: Callable[[str], object],
) -> None:
    known = set(tiny_pegasus(architecture).state_dict())  # type: ignore[attr-defined]
    names = {
        value.name
        for _, model in _graphs(tiny_bundle(architecture, target))
        for value in model.graph.initializers.values()
        if isinstance(value.const_value, ir.ExternalTensor)
    }
    fused = {name for name in names if ".self_attn.qkv_proj." in str(name)}  # of three
    assert names - fused <= known
    assert bool(fused) == (target == "ort")
    assert "model.shared.weight" in names
