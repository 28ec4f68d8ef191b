"""What TensorRT for RTX compiles at run time, and where it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_stand_ins.tensorrt import (
    FakeConfig,
    Specialization,
)
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.tensorrt.kernels import KernelCache
from runtime.sessions.plan_setting import Setting


@pytest.fixture
def rtx(tmp_path: Path) -> Setting:
    return Setting(tmp_path, "trt-rtx")


@pytest.fixture
def trt(tmp_path: Path) -> Setting:
    return Setting(tmp_path, "trt")


def test_kernels_are_settled_before_recording_and_compiled_aside_otherwise(rtx: Setting) -> None:
    for name, graph in rtx.load().items():
        graph.prepare(rtx.views())
        (context,) = (rtx.encoder if name == "encoder" else rtx.decoder).contexts
        assert context.config is not None
        expected = Specialization.EAGER if name == "decoder_step" else Specialization.LAZY
        assert context.config.dynamic_shapes_kernel_specialization_strategy is expected


def test_all_contexts_share_compiled_kernels(rtx: Setting) -> None:
    graphs = rtx.load()
    runs = [graph.prepare(rtx.views(batch)) for graph in graphs.values() for batch in (1, 2)]
    contexts = [*rtx.encoder.contexts, *rtx.decoder.contexts]
    assert len(runs) == len(contexts) == 4
    assert len({id(context.config and context.config.cache) for context in contexts}) == 1


def test_compiled_kernels_are_kept_from_process_to_process(rtx: Setting, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "kernels"
    graph = rtx.load(runtime_cache=path)["decoder_step"]
    run = graph.prepare(rtx.views(1))
    assert not path.exists()
    run.run()
    assert path.read_bytes() == b"1.7.1.116;(1, 4)"
    graph.prepare(rtx.views(2)).run()
    assert path.read_bytes() == b"1.7.1.116;(1, 4);(2, 4)"
    assert [each.name for each in path.parent.iterdir()] == ["kernels"]

    again = Setting(tmp_path, "trt-rtx")
    again.load(runtime_cache=path)["encoder"].prepare(again.views(1))
    config = again.encoder.contexts[0].config
    assert config is not None
    assert config.cache is not None
    assert config.cache.kernels == {"(1, 4)", "(2, 4)"}


def test_kernels_that_are_kept_already_are_not_written_again(rtx: Setting, tmp_path: Path) -> None:
    path = tmp_path / "kernels"
    rtx.load(runtime_cache=path)["decoder_step"].prepare(rtx.views(1)).run()
    path.chmod(0o400)
    written = path.stat().st_ino
    again = Setting(tmp_path, "trt-rtx")
    again.load(runtime_cache=path)["decoder_step"].prepare(again.views(1)).run()
    assert path.stat().st_ino == written


def test_kernels_of_another_version_are_compiled_again_and_it_is_said(
    rtx: Setting, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "kernels"
    path.write_bytes(b"1.6;(1, 4)")
    rtx.load(runtime_cache=path)["decoder_step"].prepare(rtx.views(2)).run()
    assert path.read_bytes() == b"1.7.1.116;(2, 4)"
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: its kernels are for another GPU, driver or version: they are compiled again, "
        "which takes a while, and replaced"
    ]


def test_kernels_that_cannot_be_written_are_said_to_be_lost_once(
    rtx: Setting, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cache" / "kernels"
    graph = rtx.load(runtime_cache=path)["decoder_step"]
    path.parent.rmdir()
    for batch in (1, 2):
        views = rtx.views(batch)
        rtx.doubles(graph.prepare(views), views)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: compiled kernels cannot be kept: No such file or directory"
    ]


def test_a_runtime_cache_where_none_can_be_is_an_engine_error(rtx: Setting, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "kernels"
    message = r"kernels: cannot keep compiled kernels: .+: choose another runtime_cache, or none$"
    with pytest.raises(EngineError, match=message):
        rtx.load(runtime_cache=path)


def test_a_runtime_cache_for_a_library_without_one_is_an_engine_error(
    trt: Setting, tmp_path: Path
) -> None:
    message = r"^tensorrt compiles nothing at run time that .+k could keep: give no runtime_cache$"
    with pytest.raises(EngineError, match=message):
        trt.load(runtime_cache=tmp_path / "k")


def test_a_runtime_cache_that_is_refused_is_an_engine_error(rtx: Setting) -> None:
    rtx.library.takes_cache = False
    with pytest.raises(
        EngineError, match=r"^TensorRT for RTX refused its own runtime cache: give "
    ):
        KernelCache(None).attach(FakeConfig(rtx.library))
