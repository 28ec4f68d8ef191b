"""The ONNX Runtime session against transformers: logits of random walks over beams."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.errors import BundleError, EngineError, OptionsError
from pegasus_runtime.native.pages import PAGES
from pegasus_runtime.sessions.ort.cache import CHUNK_TOKENS
from pegasus_runtime.sessions.ort.decoder import OrtDecoding
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.sessions.ort.graph import allocate

SEQ2SEQ, CAUSAL = "PegasusForConditionalGeneration", "PegasusForCausalLM"
START = 0
MAX_LENGTH = 12
TOLERANCE = 2e-4  # of fp32 logits with a standard deviation of 4

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Walk:
    """What each row reads, and whose history it continues."""

    tokens: list[Int64]  # [B] at the first step, [B*R] after
    parents: list[Int64]  # [B, R]; not looked at for the first step
    histories: list[Int64]  # [B, 1] at first, [B*R, t] after


def random_walk(seed: int, *, batch: int, rows: int, steps: int, vocab_size: int) -> Walk:
    rng = np.random.default_rng(seed)
    tokens = [np.full(batch, START)]
    parents = [np.zeros((batch, rows), np.int64)]
    histories = [tokens[0][:, None]]
    for step in range(1, steps):
        previous_rows = 1 if step == 1 else rows
        parents.append(rng.integers(0, previous_rows, (batch, rows)))
        tokens.append(rng.integers(0, vocab_size, batch * rows))
        kept = (parents[step] + np.arange(batch)[:, None] * previous_rows).reshape(-1)
        histories.append(np.concatenate([histories[-1][kept], tokens[step][:, None]], axis=1))
    return Walk(tokens=tokens, parents=parents, histories=histories)


def random_sources(seed: int, batch: int, vocab_size: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, vocab_size, length).tolist() for length in rng.integers(1, 20, batch)]


def take_step(decoding: OrtDecoding, walk: Walk, step: int, num_candidates: int = 5) -> StepScores:
    return decoding.step(
        walk.tokens[step],
        None if step == 0 else walk.parents[step],
        num_candidates=num_candidates,
        full=True,
    )


def logits_of(scores: StepScores) -> Float32:
    assert scores.log_probs is not None
    assert scores.log_normalizer is not None
    return scores.log_probs + scores.log_normalizer


@pytest.fixture(scope="module")
def causal_engine(tiny_bundle: Callable[..., Path]) -> OrtEngine:
    return OrtEngine(open_bundle(tiny_bundle(CAUSAL)), threads=1)


@pytest.fixture(scope="module")
def vocab_size(bundle: Bundle) -> int:
    return bundle.manifest.architecture.vocab_size


@pytest.fixture(scope="module")
def load_model(tiny_checkpoint: Callable[[str], Path]) -> Callable[[str], Any]:
    import transformers

    def load(architecture: str) -> Any:
        kind: Any = getattr(transformers, architecture)
        return kind.from_pretrained(tiny_checkpoint(architecture)).eval()

    return load


@pytest.fixture(scope="module")
def model(load_model: Callable[[str], Any]) -> Any:
    return load_model(SEQ2SEQ)


@pytest.fixture
def copied(bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))


@torch.no_grad()
def transformers_logits(model: Any, sources: list[list[int]], histories: Int64) -> Float32:
    """[N, V] after whole histories [N, t], each document encoded alone."""
    rows = len(histories) // len(sources)
    logits = []
    for number, source in enumerate(sources):
        history = torch.from_numpy(histories[number * rows : (number + 1) * rows])
        encoded = model.get_encoder()(input_ids=torch.tensor([source])).last_hidden_state
        output = model(
            encoder_outputs=(encoded.expand(rows, -1, -1),),
            decoder_input_ids=history,
            use_cache=False,
        )
        logits.append(output.logits[:, -1].numpy())
    return np.concatenate(logits)


@pytest.mark.parametrize(
    ("batch", "rows"), [(1, 1), (1, 2), (2, 1), (2, 3), (3, 8), (4, 5), (1, 32), (4, 32)]
)
def test_logits_are_those_of_transformers_for_beams_with_random_parents(
    engine: OrtEngine, model: Any, vocab_size: int, batch: int, rows: int
) -> None:
    sources = random_sources(rows, batch, vocab_size)
    walk = random_walk(batch, batch=batch, rows=rows, steps=7, vocab_size=vocab_size)
    decoding = engine.start(sources, rows_per_document=rows, max_length=MAX_LENGTH)
    for step, histories in enumerate(walk.histories):
        found = logits_of(take_step(decoding, walk, step))
        expected = transformers_logits(model, sources, histories)
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("batch", "rows"), [(1, 1), (3, 4), (1, 32)])
def test_a_decoder_without_encoder_scores_as_transformers_does(
    causal_engine: OrtEngine, load_model: Callable[[str], Any], batch: int, rows: int
) -> None:
    model = load_model(CAUSAL)
    walk = random_walk(7, batch=batch, rows=rows, steps=6, vocab_size=model.config.vocab_size)
    empty: list[list[int]] = [[] for _ in range(batch)]
    decoding = causal_engine.start(empty, rows_per_document=rows, max_length=MAX_LENGTH)
    for step, histories in enumerate(walk.histories):
        found = logits_of(take_step(decoding, walk, step))
        with torch.no_grad():
            output = model(input_ids=torch.from_numpy(histories), use_cache=False)
        np.testing.assert_allclose(found, output.logits[:, -1].numpy(), rtol=0, atol=TOLERANCE)


def test_candidates_are_the_best_log_probabilities_in_descending_order(
    engine: OrtEngine, vocab_size: int
) -> None:
    sources = random_sources(1, 2, vocab_size)
    walk = random_walk(1, batch=2, rows=3, steps=3, vocab_size=vocab_size)
    decoding = engine.start(sources, rows_per_document=3, max_length=MAX_LENGTH)
    for step in range(3):
        scores = take_step(decoding, walk, step, num_candidates=9)
        assert scores.log_probs is not None
        best = np.argsort(-scores.log_probs, axis=1, kind="stable")[:, :9]
        np.testing.assert_array_equal(scores.top_ids, best)
        np.testing.assert_array_equal(
            scores.top_scores, np.take_along_axis(scores.log_probs, best, axis=1)
        )
        np.testing.assert_allclose(np.exp(scores.log_probs).sum(axis=1), 1, atol=1e-4)


def test_all_scores_are_fetched_only_when_asked_for(engine: OrtEngine) -> None:
    decoding = engine.start([[5, 1]], rows_per_document=2, max_length=MAX_LENGTH)
    first = decoding.step(np.array([START]), None, num_candidates=4, full=False)
    parents = np.zeros((1, 2), np.int64)
    second = decoding.step(np.array([7, 8]), parents, num_candidates=3, full=True)
    third = decoding.step(np.array([9, 4]), parents, num_candidates=3, full=False)
    assert (first.log_probs, first.log_normalizer) == (None, None)
    assert first.top_ids.shape == (1, 4)
    assert second.log_probs is not None
    assert second.top_scores.shape == (2, 3)
    assert (third.log_probs, third.log_normalizer) == (None, None)


def test_asking_for_all_scores_changes_none_of_the_others(
    engine: OrtEngine, vocab_size: int
) -> None:
    walk = random_walk(2, batch=2, rows=2, steps=6, vocab_size=vocab_size)
    top_scores = []
    for asked in ([True] * 6, [False] * 6, [True, False, False, True, True, False]):
        decoding = engine.start([[5, 6, 1], [7, 1]], rows_per_document=2, max_length=MAX_LENGTH)
        steps = [
            decoding.step(
                walk.tokens[step],
                walk.parents[step] if step else None,
                num_candidates=3 + step % 2,
                full=full,
            )
            for step, full in enumerate(asked)
        ]
        top_scores.append(np.concatenate([scores.top_scores.ravel() for scores in steps]))
    np.testing.assert_array_equal(top_scores[0], top_scores[1])
    np.testing.assert_array_equal(top_scores[0], top_scores[2])


def test_scores_are_not_changed_by_later_steps(engine: OrtEngine, vocab_size: int) -> None:
    walk = random_walk(2, batch=2, rows=2, steps=5, vocab_size=vocab_size)
    decoding = engine.start([[5, 6, 1], [7, 1]], rows_per_document=2, max_length=MAX_LENGTH)
    names = ("top_scores", "top_ids", "log_probs", "log_normalizer")
    steps, copies = [], []
    for step in range(5):
        steps.append(take_step(decoding, walk, step))
        copies.append([getattr(steps[-1], name).copy() for name in names])
    decoding.keep(np.array([1]))
    for scores, expected in zip(steps, copies, strict=True):
        for name, array in zip(names, expected, strict=True):
            np.testing.assert_array_equal(getattr(scores, name), array)


def test_the_cache_is_written_in_place(engine: OrtEngine, vocab_size: int) -> None:
    walk = random_walk(3, batch=2, rows=3, steps=5, vocab_size=vocab_size)
    sources = random_sources(3, 2, vocab_size)
    decoding = engine.start(sources, rows_per_document=3, max_length=MAX_LENGTH)
    take_step(decoding, walk, 0)
    take_step(decoding, walk, 1)
    caches = decoding.cache.arrays
    addresses = {name: cache.ctypes.data for name, cache in caches.items()}
    for step in range(2, 5):
        before = {name: cache.copy() for name, cache in caches.items()}
        take_step(decoding, walk, step)
        presents = decoding.binding.get_outputs()[: len(addresses)]
        assert {value.data_ptr() for value in presents} == set(addresses.values())
        for name, cache in decoding.cache.arrays.items():
            assert cache.ctypes.data == addresses[name]
            np.testing.assert_array_equal(cache[:, :, :step], before[name][:, :, :step])
            assert np.abs(cache[:, :, step]).min(axis=(1, 2)).max() > 0
            after = cache[:, :, step + 1 :]
            np.testing.assert_array_equal(after, before[name][:, :, step + 1 :])


def test_the_first_step_has_one_row_of_cache_per_document(engine: OrtEngine) -> None:
    decoding = engine.start([[5, 1], [6, 7, 1]], rows_per_document=4, max_length=MAX_LENGTH)
    assert {cache.shape[0] for cache in decoding.cache.arrays.values()} == {2}
    decoding.step(np.array([START, START]), None, num_candidates=4, full=False)
    parents = np.zeros((2, 4), np.int64)
    decoding.step(np.arange(8), parents, num_candidates=4, full=False)
    assert {cache.shape[0] for cache in decoding.cache.arrays.values()} == {8}


@pytest.mark.parametrize("rows", [1, 3])
def test_the_cache_grows_with_the_rows_and_the_scores_stay_those_of_transformers(
    engine: OrtEngine, model: Any, vocab_size: int, rows: int
) -> None:
    steps = CHUNK_TOKENS + 3
    sources = random_sources(6, 2, vocab_size)
    walk = random_walk(6, batch=2, rows=rows, steps=steps, vocab_size=vocab_size)
    decoding = engine.start(sources, rows_per_document=rows, max_length=CHUNK_TOKENS + 20)
    for step, histories in enumerate(walk.histories):
        room = CHUNK_TOKENS if step < CHUNK_TOKENS else CHUNK_TOKENS + 20
        found = logits_of(take_step(decoding, walk, step))
        assert {cache.shape[2] for cache in decoding.cache.arrays.values()} == {room}
        if step >= CHUNK_TOKENS - 1:
            expected = transformers_logits(model, sources, histories)
            np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


LEAVING = {
    "the last": [0, 1, 2],
    "the first": [3, 1, 2],
    "all but the last": [3],
    "nobody": [0, 1, 2, 3],
    "some, in another order": [2, 0],
}


@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("who", LEAVING)
@pytest.mark.parametrize("rows", [1, 3])
def test_those_who_stay_score_as_they_would_have_if_the_others_had_too(
    engine: OrtEngine, vocab_size: int, rows: int, who: str, at: int
) -> None:
    kept = np.array(LEAVING[who])
    sources = random_sources(8, 4, vocab_size)
    walk = random_walk(8, batch=4, rows=rows, steps=9, vocab_size=vocab_size)
    whole = engine.start(sources, rows_per_document=rows, max_length=MAX_LENGTH)
    fewer = engine.start(sources, rows_per_document=rows, max_length=MAX_LENGTH)
    for step in range(9):
        expected = logits_of(take_step(whole, walk, step))
        if step < at:
            take_step(fewer, walk, step)
            continue
        if step == at:
            fewer.keep(kept)
        tokens = walk.tokens[step].reshape(4, rows)[kept]
        scores = fewer.step(
            tokens.reshape(-1), walk.parents[step][kept], num_candidates=5, full=True
        )
        expected = expected.reshape(4, rows, -1)[kept].reshape(len(kept) * rows, -1)
        np.testing.assert_allclose(logits_of(scores), expected, rtol=0, atol=TOLERANCE)


def test_documents_may_leave_again_and_again_while_the_cache_grows(
    engine: OrtEngine, model: Any, vocab_size: int
) -> None:
    steps, rows, left = CHUNK_TOKENS + 6, 2, np.arange(4)
    leaving = {1: [0, 3, 2], CHUNK_TOKENS - 1: [2, 1], CHUNK_TOKENS + 2: [1]}
    sources = random_sources(9, 4, vocab_size)
    walk = random_walk(9, batch=4, rows=rows, steps=steps, vocab_size=vocab_size)
    decoding = engine.start(sources, rows_per_document=rows, max_length=96)
    take_step(decoding, walk, 0)
    for step in range(1, steps):
        if step in leaving:
            decoding.keep(np.array(leaving[step]))
            left = left[leaving[step]]
        tokens = walk.tokens[step].reshape(4, rows)[left].reshape(-1)
        scores = decoding.step(tokens, walk.parents[step][left], num_candidates=5, full=True)
        if step in (2, CHUNK_TOKENS - 1, CHUNK_TOKENS, steps - 1):
            histories = walk.histories[step].reshape(4, rows, -1)[left].reshape(len(tokens), -1)
            expected = transformers_logits(model, [sources[n] for n in left], histories)
            np.testing.assert_allclose(logits_of(scores), expected, rtol=0, atol=TOLERANCE)


def test_those_who_keep_their_place_are_not_moved(engine: OrtEngine, vocab_size: int) -> None:
    sources = random_sources(8, 4, vocab_size)
    walk = random_walk(8, batch=4, rows=2, steps=3, vocab_size=vocab_size)
    decoding = engine.start(sources, rows_per_document=2, max_length=MAX_LENGTH)
    for step in range(3):
        take_step(decoding, walk, step)
    arrays = {name: shared.array for name, shared in decoding.source.items()}
    arrays |= decoding.cache.arrays
    before = {name: array.copy() for name, array in arrays.items()}
    addresses = {name: array.ctypes.data for name, array in arrays.items()}
    decoding.keep(np.array([0, 3, 2]))
    kept = {name: shared.array for name, shared in decoding.source.items()}
    kept |= decoding.cache.arrays
    assert {name: array.ctypes.data for name, array in kept.items()} == addresses
    for name, array in kept.items():
        documents = before[name].reshape(4, -1)[[0, 3, 2]]
        np.testing.assert_array_equal(array.reshape(3, -1), documents)


def test_a_decoder_without_encoder_lets_documents_go(causal_engine: OrtEngine) -> None:
    decodings = [
        causal_engine.start([[]] * batch, rows_per_document=2, max_length=MAX_LENGTH)
        for batch in (3, 1)
    ]
    for decoding, batch in zip(decodings, (3, 1), strict=True):
        decoding.step(np.full(batch, START), None, num_candidates=4, full=True)
    decodings[0].keep(np.array([2]))
    found, expected = (
        decoding.step(np.array([7, 8]), np.zeros((1, 2), np.int64), num_candidates=4, full=True)
        for decoding in decodings
    )
    np.testing.assert_allclose(logits_of(found), logits_of(expected), rtol=0, atol=TOLERANCE)


def test_the_sources_keys_exist_once_per_document_not_once_per_beam(
    engine: OrtEngine, bundle: Bundle, vocab_size: int
) -> None:
    facts = bundle.manifest.architecture
    sources = [[5, 6, 1], [7, 8, 9, 10, 1]]
    walk = random_walk(4, batch=2, rows=6, steps=4, vocab_size=vocab_size)
    decoding = engine.start(sources, rows_per_document=6, max_length=MAX_LENGTH)
    for step in range(4):
        take_step(decoding, walk, step)
    arrays = {name: shared.array for name, shared in decoding.source.items()}
    mask = arrays.pop("attention_mask")
    assert len(arrays) == 2 * facts.decoder_layers
    shapes = {array.shape for array in arrays.values()}
    assert shapes == {(2, facts.decoder_heads, 5, facts.head_dim)}
    np.testing.assert_array_equal(mask, [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])


def test_decodings_that_take_turns_on_one_engine_do_not_disturb_each_other(
    engine: OrtEngine, vocab_size: int
) -> None:
    shapes = [(1, 1), (2, 4), (3, 2), (1, 16)]
    walks, alone = [], []
    for batch, rows in shapes:
        walk = random_walk(rows, batch=batch, rows=rows, steps=6, vocab_size=vocab_size)
        sources = random_sources(rows, batch, vocab_size)
        decoding = engine.start(sources, rows_per_document=rows, max_length=MAX_LENGTH)
        alone.append([logits_of(take_step(decoding, walk, step)) for step in range(6)])
        walks.append((walk, sources, rows))
    decodings = [
        engine.start(sources, rows_per_document=rows, max_length=MAX_LENGTH)
        for _, sources, rows in walks
    ]
    for step in range(6):
        for (walk, _, _), decoding, expected in zip(walks, decodings, alone, strict=True):
            found = logits_of(take_step(decoding, walk, step))
            np.testing.assert_array_equal(found, expected[step])


def test_padding_changes_nothing(engine: OrtEngine, vocab_size: int) -> None:
    sources = [[5, 6, 1], random_sources(5, 1, vocab_size)[0] * 3]
    decoding = engine.start(sources, rows_per_document=1, max_length=MAX_LENGTH)
    both = decoding.step(np.array([START, START]), None, num_candidates=2, full=True)
    decoding = engine.start(sources[:1], rows_per_document=1, max_length=MAX_LENGTH)
    alone = decoding.step(np.array([START]), None, num_candidates=2, full=True)
    np.testing.assert_allclose(logits_of(both)[:1], logits_of(alone), rtol=0, atol=TOLERANCE)


def test_an_unknown_provider_is_an_error(bundle: Bundle) -> None:
    message = "provider 'cuda' is not offered for target 'ort': use one of auto, cpu"
    with pytest.raises(OptionsError, match=message):
        OrtEngine(bundle, provider="cuda")


@pytest.mark.parametrize("threads", [0, -1, 1025, 100_000, 2**31])
def test_an_engine_needs_a_thread_and_not_too_many(bundle: Bundle, threads: int) -> None:
    """ONNX Runtime would start them all, or raise a TypeError."""
    with pytest.raises(OptionsError, match=f"^threads is {threads}, expected from 1 to 1024, or N"):
        OrtEngine(bundle, threads=threads)


def test_a_graph_that_is_no_onnx_is_an_error(copied: Path) -> None:
    opened = open_bundle(copied)
    (copied / "decoder_step.onnx").write_bytes(b"garbage")
    with pytest.raises(BundleError, match=r"decoder_step\.onnx: no ONNX graph \(.*\): copy the"):
        OrtEngine(opened, threads=1)


def test_weights_outside_the_bundle_are_not_read(copied: Path, tmp_path: Path) -> None:
    opened = open_bundle(copied)
    (tmp_path / "outside.bin").write_bytes((copied / "weights.bin").read_bytes())
    model = onnx.load(copied / "encoder.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = os.path.relpath(tmp_path / "outside.bin", copied)
    (copied / "encoder.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match=r"from '\.\./outside\.bin', which the manifest does not"):
        OrtEngine(opened, threads=1)


def test_weights_that_are_missing_are_an_error(copied: Path) -> None:
    opened = open_bundle(copied)
    (copied / "weights.bin").unlink()
    with pytest.raises(EngineError, match=r"\.onnx: ONNX Runtime cannot load it: "):
        OrtEngine(opened, threads=1)


def test_a_graph_of_another_kind_is_an_error(copied: Path) -> None:
    opened = open_bundle(copied)
    shutil.copyfile(copied / "encoder.onnx", copied / "decoder_step.onnx")
    message = r"decoder_step\.onnx: lacks cache_indirection, unlike a graph decoder_step of summari"
    with pytest.raises(BundleError, match=message):
        OrtEngine(opened, threads=1)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (1, r"architecture\.decoder_layers: got 1, where .*encoder\.onnx has 2: export the"),
        (3, r"encoder\.onnx: lacks cross_key\.2"),
    ],
)
def test_a_manifest_with_another_number_of_layers_is_an_error(
    copied: Path, layers: int, message: str
) -> None:
    """Though its own tensors are those of that number."""
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["architecture"]["decoder_layers"] = layers
    for graph in manifest["graphs"].values():
        for kind in ("inputs", "outputs"):
            first = [each for each in graph[kind] if each["name"].endswith(".0")]
            graph[kind] = [each for each in graph[kind] if not each["name"].endswith(".1")]
            for layer in range(1, layers):
                named = [each["name"].replace(".0", f".{layer}") for each in first]
                graph[kind] += [{**x, "name": y} for x, y in zip(first, named, strict=True)]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=message):
        OrtEngine(open_bundle(copied), threads=1)


def test_what_onnx_runtime_refuses_is_an_engine_error(engine: OrtEngine, vocab_size: int) -> None:
    decoding = engine.start([[5, 1]], rows_per_document=1, max_length=MAX_LENGTH)
    with pytest.raises(EngineError, match=r"^ONNX Runtime failed: .+") as caught:
        decoding.step(np.array([START]), None, num_candidates=vocab_size + 1, full=False)
    assert "\n" not in str(caught.value)


def test_without_onnxruntime_the_error_names_the_extra_to_install(bundle: Bundle) -> None:
    script = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "onnxruntime":
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Blocker())
from pegasus_runtime.commands.summarize import main
sys.exit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", script, str(bundle.folder)]
    result = subprocess.run(command, input="A boat.", capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        "pegasus-summarize: error: onnxruntime is not installed: pip install 'pegasus-edge[cpu]'\n"
    )


def test_threads_wait_awake_for_30_microseconds_and_within_a_run_only(bundle: Bundle) -> None:
    engine = OrtEngine(bundle, threads=2)
    assert engine.encoder is not None
    for session in (engine.encoder.session, engine.decoder.session):
        options = session.get_session_options()
        entry = options.get_session_config_entry
        assert entry("session.intra_op.allow_spinning") == "1"
        assert entry("session.intra_op.spin_duration_us") == "30"
        assert entry("session.force_spinning_stop") == "1"


def test_memory_kept_of_its_batches_goes_with_the_engine(bundle: Bundle) -> None:
    engine = OrtEngine(bundle)
    del (array := [allocate((2**20,))])[:]
    assert PAGES.kept_bytes >= 2**22
    del engine
    assert (PAGES.kept_bytes, array) == (0, [])
