"""A manifest's numbers against each other and its graphs."""

from dataclasses import replace

import pytest

from pegasus_runtime.bundle import ClassifierSpec, GraphSpec, Manifest, TensorSpec, dump_manifest
from pegasus_runtime.errors import BundleError


def with_decoder(manifest: Manifest, **shapes: tuple[int | str, ...]) -> Manifest:
    """A step of one layer with 16 heads of 64, whose tensors have these shapes."""
    found = {
        "past_self_key.0": ("rows", 16, "time", 64),
        "cross_value.0": ("batch", 16, "source", 64),
        "log_probs": ("rows", 96103),
    }
    tensors = [
        TensorSpec(name=name, dtype="float32", shape=shape)
        for name, shape in (
            found | {key.replace("__", "."): x for key, x in shapes.items()}
        ).items()
    ]
    graph = GraphSpec(file="encoder.onnx", inputs=tuple(tensors), outputs=())
    return replace(manifest, graphs={**manifest.graphs, "decoder_step": graph})


def with_labels(manifest: Manifest, num_labels: int, size: int | str) -> Manifest:
    """A classifier of so many labels, whose graph has so many logits."""
    logits = TensorSpec(name="logits", dtype="float32", shape=("batch", size))
    graph = GraphSpec(file="encoder.onnx", inputs=(), outputs=(logits,))
    labels = tuple(f"LABEL_{index}" for index in range(num_labels))
    return replace(
        manifest,
        task="text-classification",
        graphs={"model": graph},
        tables={},
        classifier=ClassifierSpec(labels=labels, activation="softmax"),
    )


def test_there_are_as_many_labels_as_logits(manifest: Manifest) -> None:
    dump_manifest(with_labels(manifest, 3, 3))
    dump_manifest(with_labels(manifest, 3, "labels"))
    for count in (2, 4):
        message = rf"classifier\.labels: got {count}, expected 3, as graph model has"
        with pytest.raises(BundleError, match=message):
            dump_manifest(with_labels(manifest, count, 3))


def test_a_decoder_as_the_facts_say_is_taken(manifest: Manifest) -> None:
    dump_manifest(with_decoder(manifest))
    dump_manifest(with_decoder(manifest, log_probs=("rows", 96104)))  # a plan's is padded


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"past_self_key__0": ("rows", 15, "time", 64)}, r"past_self_key\.0: got \['rows', 15, "),
        ({"past_self_key__0": ("rows", 16, "time", 32)}, "expected 16 heads of 64: export"),
        ({"cross_value__0": (16, 64)}, r"shape of cross_value\.0: got \[16, 64\], expected 16"),
        ({"present_self_key__1": ("rows", 16, "time", 64)}, "decoder_layers: got 1, expected th"),
        ({"log_probs": ("rows", 96102)}, "got .'rows', 96102., expected a vocabulary of 96103"),
        ({"log_probs": ("rows", 96111)}, "expected a vocabulary of 96103"),
        ({"log_probs": ("rows", "vocab")}, "expected a vocabulary of 96103"),
        ({"log_probs": ()}, "expected a vocabulary of 96103"),
    ],
)
def test_graphs_of_other_sizes_are_refused(
    manifest: Manifest, shapes: dict[str, tuple[int | str, ...]], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        dump_manifest(with_decoder(manifest, **shapes))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"decoder_heads": 2**63}, "decoder_heads: got 9223372036854775808, expected at most 2147"),
        ({"decoder_heads": 8}, "decoder_heads: got 8 of 64, expected d_model"),
        ({"decoder_layers": 2**31}, "decoder_layers: got 2147483648, expected at most 1024"),
        ({"decoder_layers": 2}, "decoder_layers: got 2, expected those of graph encoder"),
        ({"encoder_layers": 1025}, "encoder_layers: got 1025, expected at most 1024"),
        ({"vocab_size": 2**31}, "vocab_size: got 2147483648, expected at most 2147483647"),
    ],
)
def test_numbers_out_of_bounds_are_refused(
    manifest: Manifest, facts: dict[str, int], message: str
) -> None:
    architecture = replace(manifest.architecture, **facts)  # type: ignore[arg-type]
    with pytest.raises(BundleError, match=message):
        dump_manifest(replace(manifest, architecture=architecture))


def test_target_onnx_has_names_of_its_own(manifest: Manifest) -> None:
    other = with_decoder(manifest, log_probs=("rows", "vocab"))
    dump_manifest(replace(other, target="onnx"))
