"""Decoding over preallocated memory: the steps of `OrtEngine`, at the sizes of plans."""

import dataclasses
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.errors import BundleError, EngineError, OptionsError
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.sessions.device.engine import DeviceEngine, is_device_bundle
from pegasus_runtime.sessions.host.device import HostDevice
from pegasus_runtime.sessions.host.graph import load_host_graphs
from pegasus_runtime.sessions.open_engine import open_engine
from pegasus_runtime.sessions.ort.engine import OrtEngine

TinyBundle = Callable[[str, str, str], Path]
SEQ2SEQ = "PegasusForConditionalGeneration"
SOURCES = [[110, 120, 130, 140, 1], [150, 1], [160, 170, 180, 1]]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: TinyBundle) -> Bundle:
    """Of target trt-rtx: 8 beams, batches of 1 and 4."""
    return open_bundle(tiny_bundle(SEQ2SEQ, "trt-rtx", "fp32"))


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> DeviceEngine:
    return DeviceEngine(bundle, HostDevice(), load_host_graphs(bundle))


@pytest.fixture(scope="module")
def oracle(tiny_bundle: TinyBundle) -> OrtEngine:
    return OrtEngine(open_bundle(tiny_bundle(SEQ2SEQ, "ort", "fp32")))


def run_both(engine: DeviceEngine, oracle: OrtEngine, options: GenerationOptions) -> None:
    """The same hypotheses, from both engines."""
    settings = resolve_for_manifest(options, engine.bundle.manifest)
    got, expected = (generate(each, SOURCES, settings) for each in (engine, oracle))
    for ours, theirs in zip(got, expected, strict=True):
        assert [x.token_ids for x in ours] == [x.token_ids for x in theirs]
        np.testing.assert_allclose(
            [x.score for x in ours], [x.score for x in theirs], atol=2e-4, rtol=2e-4
        )


@pytest.mark.parametrize(
    "options",
    [
        GenerationOptions(num_beams=8, max_length=20),
        GenerationOptions(num_beams=8, max_length=48, min_length=44),  # the cache grows
        GenerationOptions(num_beams=3, max_length=20, num_return_sequences=2),
        GenerationOptions(num_beams=1, max_length=20),
        GenerationOptions(num_beams=4, max_length=20, repetition_penalty=1.5),  # full scores
        GenerationOptions(num_beams=4, max_length=24, no_repeat_ngram_size=1),  # many bans
        GenerationOptions(num_beams=1, max_length=12, do_sample=True, seed=3, top_k=50),
        GenerationOptions(num_beams=4, max_length=12, do_sample=True, seed=3, temperature=2.0),
        GenerationOptions(num_beams=5, max_length=20, decoder_input_ids=[120, 121, 122]),
        GenerationOptions(num_beams=1, max_length=20, decoder_input_ids=[120, 121]),
        GenerationOptions(num_beams=3, max_length=20, sequence_bias={(166,): -4.0}),
    ],
)
def test_searches_find_what_they_find_with_onnx_runtimes_own_operators(
    engine: DeviceEngine, oracle: OrtEngine, options: GenerationOptions
) -> None:
    run_both(engine, oracle, options)


def test_more_candidates_than_the_graph_selects_come_from_all_scores(engine: DeviceEngine) -> None:
    columns = engine.bundle.manifest.graphs["decoder_step"].outputs[0].shape[1]
    assert isinstance(columns, int)
    tokens = np.zeros(1, np.int64)
    found = {}
    for count in (columns, columns + 1):
        decoding = engine.start(SOURCES[:1], rows_per_document=2, max_length=9)
        found[count] = decoding.step(tokens, None, num_candidates=count, full=False)
        assert found[count].top_ids.shape == (1, count)
        assert found[count].log_probs is None
    np.testing.assert_array_equal(found[columns].top_ids, found[columns + 1].top_ids[:, :columns])


def test_full_scores_are_of_the_checkpoints_vocabulary_and_sum_to_one(
    engine: DeviceEngine,
) -> None:
    decoding = engine.start(SOURCES, rows_per_document=2, max_length=9)
    scores = decoding.step(np.zeros(3, np.int64), None, num_candidates=4, full=True)
    vocab_size = engine.bundle.manifest.architecture.vocab_size
    assert vocab_size % 8  # the graph's is padded
    assert scores.log_probs is not None
    assert scores.log_probs.shape == (3, vocab_size)
    np.testing.assert_allclose(np.exp(scores.log_probs).sum(1), 1, atol=1e-4)


def test_memory_is_used_again_and_what_it_held_is_not_seen(engine: DeviceEngine) -> None:
    def first_scores(source: list[int]) -> Any:
        decoding = engine.start([source], rows_per_document=4, max_length=9)
        decoding.step(np.zeros(1, np.int64), None, num_candidates=4, full=False)
        parents = np.zeros((1, 4), np.int64)
        scores = decoding.step(np.arange(4) + 110, parents, num_candidates=4, full=False)
        return decoding.workspace, scores.top_scores

    workspace, before = first_scores(SOURCES[0])
    other, _ = first_scores(SOURCES[1])
    assert other is not workspace  # the first one was held on to
    del workspace, other
    again, after = first_scores(SOURCES[0])
    np.testing.assert_array_equal(before, after)
    assert again in engine._kept or again is not None


def test_a_workspace_that_held_what_is_not_finite_is_not_used_again(bundle: Bundle) -> None:
    engine = DeviceEngine(bundle, HostDevice(), load_host_graphs(bundle))
    decoding = engine.start(SOURCES[:1], rows_per_document=2, max_length=9)
    key = decoding.cache.past["past_self_key.0"]
    engine.device.upload(np.full(key.shape, np.nan, key.dtype), key)
    scores = decoding.step(np.zeros(1, np.int64), None, num_candidates=4, full=False)
    assert np.isnan(scores.top_scores).any()
    del decoding
    assert not engine._returned
    decoding = engine.start(SOURCES[:1], rows_per_document=2, max_length=9)
    decoding.step(np.zeros(1, np.int64), None, num_candidates=4, full=False)
    del decoding
    assert len(engine._returned) == 1


def test_threads_take_turns(engine: DeviceEngine) -> None:
    settings = resolve_for_manifest(
        GenerationOptions(num_beams=4, max_length=16), engine.bundle.manifest
    )
    expected = [generate(engine, [source], settings) for source in SOURCES]
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        for _ in range(3):
            found[number] = generate(engine, [SOURCES[number]], settings)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(SOURCES))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, hypotheses in enumerate(expected):
        assert found[number][0][0].token_ids == hypotheses[0][0].token_ids


def test_more_beams_than_the_plans_have_are_refused(engine: DeviceEngine) -> None:
    with pytest.raises(EngineError, match="the bundle takes 8 beams, got 9: ask for fewer"):
        engine.start(SOURCES, rows_per_document=9, max_length=9)


def test_more_documents_than_the_plans_take_are_refused(engine: DeviceEngine) -> None:
    with pytest.raises(EngineError, match="graph decoder_step was not built for batch 5, beams 8"):
        engine.start([[1]] * 5, rows_per_document=2, max_length=9)


def test_a_decoder_step_of_another_kind_is_refused(bundle: Bundle) -> None:
    step = bundle.manifest.graphs["decoder_step"]
    less = dataclasses.replace(step, outputs=step.outputs[:-1])
    graphs = {**bundle.manifest.graphs, "decoder_step": less}
    other = dataclasses.replace(
        bundle, manifest=dataclasses.replace(bundle.manifest, graphs=graphs)
    )
    assert is_device_bundle(bundle)
    assert not is_device_bundle(other)
    with pytest.raises(BundleError, match="graph decoder_step lacks new_self: export"):
        DeviceEngine(other, HostDevice(), load_host_graphs(bundle))


@pytest.mark.parametrize(
    ("graph", "size"), [("encoder", "batch"), ("decoder_step", "time"), ("decoder_step", "source")]
)
def test_a_profile_without_a_size_is_refused(bundle: Bundle, graph: str, size: str) -> None:
    plans = bundle.manifest.plans
    assert plans is not None
    first, *others = plans.profiles[graph]
    less = {name: sizes for name, sizes in first.items() if name != size}
    profiles = {**plans.profiles, graph: (*others, less)}
    manifest = dataclasses.replace(
        bundle.manifest, plans=dataclasses.replace(plans, profiles=profiles)
    )
    message = rf"plans\.profiles\.{graph}\[{len(others)}\]: lacks {size}: export the checkpoint"
    with pytest.raises(BundleError, match=message):
        DeviceEngine(
            dataclasses.replace(bundle, manifest=manifest), HostDevice(), load_host_graphs(bundle)
        )


def test_a_table_that_cannot_be_mapped_is_an_error(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    shutil.copytree(bundle.folder, folder)
    broken = open_bundle(folder)
    graphs = load_host_graphs(broken)
    (folder / "weights.bin").write_bytes(b"")
    with pytest.raises(EngineError, match=r"weights\.bin: cannot be mapped"):
        DeviceEngine(broken, HostDevice(), graphs)


@pytest.fixture
def built(bundle: Bundle, tmp_path: Path) -> Bundle:
    """What a bundle of plans says of itself; the files are still ONNX."""
    folder = tmp_path / "built"
    shutil.copytree(bundle.folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["plans"] |= {"version": "1.2.3", "compute_capabilities": ["8.9"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_bundle(folder)


def test_the_cpu_runs_graphs_for_tensorrt_only_when_it_is_asked_to(
    bundle: Bundle, built: Bundle
) -> None:
    assert isinstance(open_engine(bundle, provider="cpu"), DeviceEngine)
    with pytest.raises(OptionsError, match="were built into plans for a GPU, the CPU cannot run"):
        open_engine(built, provider="cpu")


@pytest.mark.parametrize(
    ("target", "provider", "message"),
    [
        ("ort", "tpu", "provider is 'tpu', expected one of auto, cpu, cuda, tensorrt"),
        ("ort", "tensorrt", "provider 'tensorrt' is not offered for target 'ort': use one of"),
        ("trt-rtx", "cuda", "provider 'cuda' is for target ort, .* is for trt-rtx: use tensorrt"),
    ],
)
def test_a_provider_of_another_target_is_refused(
    tiny_bundle: TinyBundle, target: str, provider: str, message: str
) -> None:
    with pytest.raises(OptionsError, match=message):
        open_engine(open_bundle(tiny_bundle(SEQ2SEQ, target, "fp32")), provider=provider)


def test_half_precision_for_onnx_runtime_runs_on_the_cpu_or_says_why_not_on_a_gpu(
    tiny_bundle: TinyBundle,
) -> None:
    half = open_bundle(tiny_bundle(SEQ2SEQ, "ort", "fp16"))
    assert isinstance(open_engine(half, provider="cpu"), DeviceEngine)
    with pytest.raises(OptionsError, match="provider 'tensorrt' is for targets trt and trt-rtx"):
        open_engine(half, provider="tensorrt")
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(EngineError, match="the installed ONNX Runtime has no CUDA: pip inst"):
            open_engine(half, provider="cuda")
        assert isinstance(open_engine(half), DeviceEngine)


def test_a_summarizer_warms_up_every_size_and_summarises(bundle: Bundle) -> None:
    with Summarizer.load(bundle.folder, provider="cpu") as summarizer:
        summarizer.warm_up()
        texts = ["The old miller sold a red boat in March."] * 6
        summaries = summarizer.summarize(texts, GenerationOptions(max_length=12))
        assert len({summary.token_ids for summary in summaries}) == 1
