"""Plans of TensorRT, bound, run and recorded, on stand-ins for TensorRT and CUDA."""

from __future__ import annotations

import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_stand_ins.tensorrt import (
    DataType,
    FakeTensor,
)
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.cuda.device import CudaDevice
from runtime.sessions.plan_setting import RANGES, Setting, tensors


@pytest.fixture(params=["trt", "trt-rtx"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Setting:
    return Setting(tmp_path, request.param)


@pytest.fixture
def rtx(tmp_path: Path) -> Setting:
    return Setting(tmp_path, "trt-rtx")


def test_a_prepared_run_reads_what_its_memory_holds_by_then(setting: Setting) -> None:
    views = setting.views()
    run = setting.load()["decoder_step"].prepare(views)
    for number in range(1, 5):  # plain, recorded, and launched twice
        setting.doubles(run, views, number)


def test_the_decoder_is_recorded_when_it_runs_again_and_called_no_more(setting: Setting) -> None:
    views = setting.views()
    run = setting.load()["decoder_step"].prepare(views)
    recorded = []
    for _ in range(4):
        run.run()
        recorded.append(run.is_recorded)
    assert recorded == [False, True, True, True]
    assert setting.decoder.contexts[0].enqueued == 2
    assert setting.cuda.calls.count("cudaGraphLaunch") == 3


def test_the_encoder_is_not_recorded_unless_asked_for(setting: Setting) -> None:
    for capture in ((), ("encoder",)):
        run = setting.load(capture=capture)["encoder"].prepare(setting.views())
        run.run()
        run.run()
        assert run.is_recorded == bool(capture)


def test_warming_up_records_and_waits(setting: Setting) -> None:
    graphs = setting.load()
    runs = {name: graph.prepare(setting.views()) for name, graph in graphs.items()}
    for run in runs.values():
        run.warm_up()
        assert not setting.cuda.queue
    assert runs["decoder_step"].is_recorded
    assert not runs["encoder"].is_recorded
    setting.decoder.contexts[0].enqueued = 0
    runs["decoder_step"].run()
    assert setting.decoder.contexts[0].enqueued == 0


def test_runs_that_are_alive_at_once_keep_what_was_recorded(setting: Setting) -> None:
    graph = setting.load()["decoder_step"]
    views = [setting.views(2), setting.views(1), setting.views(2)]
    runs = [graph.prepare(each) for each in views]
    for number in range(1, 5):
        for run, each in zip(runs, views, strict=True):
            setting.doubles(run, each, number)
    assert [context.enqueued for context in setting.decoder.contexts] == [2, 2, 2]


def test_the_context_of_a_run_that_is_gone_serves_the_next(setting: Setting) -> None:
    graph = setting.load()["decoder_step"]
    all_views = [setting.views(batch) for batch in (1, 2, 1)]  # freeing any would wait for runs
    for views in all_views:
        run = graph.prepare(views)
        for number in range(3):
            setting.doubles(run, views, number)
        run.run()  # still under way when the next one is prepared
        del run
    assert len(setting.decoder.contexts) == 1


def test_a_context_that_could_not_be_bound_serves_the_next_run(setting: Setting) -> None:
    graph = setting.load()["decoder_step"]
    setting.library.refused.add("set_input_shape")
    with pytest.raises(
        EngineError, match=r"^decoder_step: input x cannot be \[2, 4\]: set_input_sh"
    ):
        graph.prepare(setting.views())
    gc.collect()
    setting.library.refused.clear()
    views = setting.views()
    setting.doubles(graph.prepare(views), views)
    assert len(setting.decoder.contexts) == 1


def test_the_memory_of_a_run_that_is_gone_is_freed(setting: Setting) -> None:
    views = setting.views()
    addresses = {view.address for view in views.values()}
    run = setting.load()["decoder_step"].prepare(views)
    run.warm_up()
    del views
    assert addresses <= set(setting.cuda.memory)
    del run
    gc.collect()
    assert not addresses & set(setting.cuda.memory)
    assert not setting.cuda.graphs


def test_the_first_profile_that_holds_the_shapes_is_taken(setting: Setting) -> None:
    graph = setting.load()["decoder_step"]
    runs = [graph.prepare(setting.views(batch)) for batch in (2, 3, 8)]
    assert len(runs) == 3
    assert [context.profile for context in setting.decoder.contexts] == [0, 1, 1]


def test_all_plans_compute_in_one_piece_of_the_largest_size(setting: Setting) -> None:
    graphs = setting.load()
    before = len(setting.cuda.memory)
    views = setting.views()
    for graph in graphs.values():
        graph.prepare(views)
    contexts = [*setting.encoder.contexts, *setting.decoder.contexts]
    assert len({context.scratch for context in contexts}) == 1
    assert {size for _, size in (context.scratch or (0, 0) for context in contexts)} == {2048}
    assert len(setting.cuda.memory) == before + len(views) + 1


def test_views_that_a_graph_does_not_have_are_ignored(setting: Setting) -> None:
    views = setting.views()
    setting.doubles(setting.load()["encoder"].prepare({**views, "z": views["x"]}), views)


def test_bfloat16_is_bound_as_its_bits(setting: Setting) -> None:
    half = tensors(x=FakeTensor("INPUT", DataType.BF16, (-1, 4), RANGES))
    setting.add("encoder", tensors=half)
    graphs = dict(setting.bundle.manifest.graphs)
    first, *others = graphs["encoder"].inputs
    inputs = (replace(first, dtype="bfloat16"), *others)
    graphs["encoder"] = replace(graphs["encoder"], inputs=inputs)
    manifest = replace(setting.bundle.manifest, graphs=graphs)
    setting.bundle = replace(setting.bundle, manifest=manifest)
    graph, views = setting.load()["encoder"], setting.views()
    graph.prepare({**views, "x": replace(views["x"], dtype=np.dtype(np.uint16))})
    with pytest.raises(
        EngineError, match=r"x is bfloat16, got a view of float32: give one of uint"
    ):
        graph.prepare(views)


@pytest.mark.parametrize(
    ("name", "view", "message"),
    [
        ("x", None, r"^decoder_step: input x is not bound: give a view for it$"),
        ("y", None, r"^decoder_step: output y is not bound: give a view for it$"),
        (
            "x",
            {"dtype": np.dtype(np.float16)},
            r"^decoder_step: input x is float32, got a view of float16: give one of float32$",
        ),
        (
            "n",
            {"offset": 8},
            r"^decoder_step: input n: its view starts 8 bytes behind a multiple of 256, TensorRT ",
        ),
        (
            "n",
            {"shape": (2,)},
            r"profile 0 takes n \[1\], got \[2\]; profile 1 takes x \[3 to 8, 4\], got \[2, 4\]: ",
        ),
        (
            "x",
            {"shape": (2, 4, 1)},
            r"^decoder_step: no profile takes these shapes: profile 0 takes x \[1 to 2, 4\], got ",
        ),
        (
            "x",
            {"shape": (9, 4)},
            r"\[9, 4\]: give fewer or shorter documents, or export again for larger ones$",
        ),
        (
            "y",
            {"shape": (4, 2)},
            r"^decoder_step: output y is \[2, 4\], got a view of \[4, 2\]: give one of that shape$",
        ),
    ],
)
def test_views_that_do_not_fit_are_an_engine_error(
    setting: Setting, name: str, view: dict[str, Any] | None, message: str
) -> None:
    views = setting.views()
    found = views.pop(name)
    if view is not None:
        views[name] = replace(found, **view)
    with pytest.raises(EngineError, match=message):
        setting.load()["decoder_step"].prepare(views)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            "set_optimization_profile_async",
            r"^decoder_step: profile 0 was refused: set_optimization_profile_async: Error Code 3: ",
        ),
        (
            "set_tensor_address",
            r"^decoder_step: x cannot be bound: set_tensor_address: Error Code 3: API Usage Error$",
        ),
    ],
)
def test_what_tensorrt_refuses_is_an_engine_error_with_its_words(
    setting: Setting, method: str, message: str
) -> None:
    graph = setting.load()["decoder_step"]
    setting.library.refused.add(method)
    with pytest.raises(EngineError, match=message):
        graph.prepare(setting.views())


def test_a_run_that_fails_is_an_engine_error_with_tensorrts_words(setting: Setting) -> None:
    run = setting.load()["decoder_step"].prepare(setting.views())
    setting.library.refused.add("execute_async_v3")
    message = r"^decoder_step: failed: execute_async_v3: Error Code 3: API Usage Error$"
    with pytest.raises(EngineError, match=message):
        run.run()


def test_a_context_without_memory_is_an_engine_error_with_what_to_do(setting: Setting) -> None:
    graph = setting.load()["decoder_step"]
    setting.decoder.makes_contexts = False
    message = (
        r"^decoder_step: no execution context: Error Code 2: OutOfMemory \(out of memory\): ask "
        r"for fewer beams, a smaller batch or shorter documents$"
    )
    with pytest.raises(EngineError, match=message):
        graph.prepare(setting.views())


def test_scratch_memory_that_is_not_there_is_an_engine_error(setting: Setting) -> None:
    graph, views = setting.load()["decoder_step"], setting.views()
    memory = setting.cuda.all_memory
    memory.total_bytes -= memory.free_bytes
    with pytest.raises(EngineError, match=r"^no memory for 0.0 MiB on the GPU, 0 of 0 MiB are fre"):
        graph.prepare(views)


def test_a_plan_that_cannot_be_recorded_runs_plainly_and_says_so_once(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    setting.library.spoils_captures = True
    graph = setting.load()["decoder_step"]
    for _ in range(2):
        views = setting.views()
        run = graph.prepare(views)
        for number in range(3):
            setting.doubles(run, views, number)
        assert not run.is_recorded
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert warnings[0].startswith(
        "decoder_step: cannot be recorded as a CUDA graph, each run takes longer: "
        "decoder_step: failed: Error Code 1: Cuda Runtime (cudaErrorStreamCaptureUnsupported)"
    )
    assert caplog.records[0].levelno == logging.WARNING


def test_warming_up_what_cannot_be_recorded_runs_it_plainly(setting: Setting) -> None:
    setting.library.spoils_captures = True
    run = setting.load()["decoder_step"].prepare(setting.views())
    run.warm_up()
    assert not run.is_recorded


def test_a_plan_that_says_it_cannot_be_recorded_is_not(
    rtx: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    rtx.library.is_capturable = False
    views = rtx.views()
    run = rtx.load()["decoder_step"].prepare(views)
    for number in range(3):
        rtx.doubles(run, views, number)
    assert "cudaStreamBeginCapture" not in rtx.cuda.calls
    assert [record.getMessage() for record in caplog.records] == [
        "decoder_step: cannot be recorded as a CUDA graph, each run takes longer: the plan "
        "allocates while it runs, build it again"
    ]


def test_a_plan_whose_run_fails_while_recorded_fails_in_the_plain_run(setting: Setting) -> None:
    run = setting.load()["decoder_step"].prepare(setting.views())
    run.run()
    setting.library.refused.add("execute_async_v3")
    with pytest.raises(EngineError, match=r"^decoder_step: failed: execute_async_v3: "):
        run.run()
    assert setting.cuda.captured is None


def test_a_run_of_memory_that_is_gone_is_told_by_the_next_call_that_waits(
    setting: Setting,
) -> None:
    views = setting.views()
    run = setting.load()["decoder_step"].prepare(views)
    run.warm_up()
    setting.cuda.cudaFree(views["y"].address)
    run.run()
    with pytest.raises(EngineError, match=r"^cudaStreamSynchronize failed with cudaErrorIllegalAd"):
        setting.device.synchronize()


def test_plans_run_on_the_second_gpu_from_any_thread(tmp_path: Path) -> None:
    setting = Setting(tmp_path, "trt-rtx", gpus=2)
    setting.device = CudaDevice(ordinal=1, runtime=setting.cuda)
    views = setting.views()
    run = setting.load()["decoder_step"].prepare(views)
    for number in range(3):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(setting.doubles, run, views, number).result()
    assert run.is_recorded


def test_a_shape_is_compiled_for_once_and_what_is_recorded_is_not_bound_again(
    rtx: Setting,
) -> None:
    graph = rtx.load()["decoder_step"]
    for batch in (1, 2, 1):
        graph.prepare(rtx.views(batch)).warm_up()
    assert rtx.decoder.compiled == [((1, 4),), ((2, 4),)]
