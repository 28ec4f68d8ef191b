"""Runs a bundle of pegasus-edge for a benchmark; see protocol.py. compute_type: the provider."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from harness import protocol


def import_engine() -> protocol.Load:
    from pegasus_runtime import EngineError, GenerationOptions, Summarizer
    from pegasus_runtime.native.ort import import_onnxruntime

    with contextlib.suppress(EngineError):  # TensorRT's bundles do without
        import_onnxruntime()  # else loading a bundle would

    def load(settings: protocol.WorkerSettings) -> protocol.Prepare:
        if settings.encoder_only:
            return _load_encoder(settings)
        summarizer = Summarizer.load(
            settings.folder, provider=settings.compute_type, threads=settings.threads or None
        )

        def prepare(request: protocol.Request) -> Callable[[], protocol.Tokens]:
            protocol.refuse_batch_settings(request)
            options = GenerationOptions(
                num_beams=request.beams,
                max_new_tokens=request.new_tokens,
                min_new_tokens=request.new_tokens,
                length_penalty=protocol.LENGTH_PENALTY,
            )

            def generate() -> protocol.Tokens:
                found = summarizer.generate(request.sources, options)
                return [hypotheses[0].token_ids for hypotheses in found]

            return generate

        return prepare

    return load


def _load_encoder(settings: protocol.WorkerSettings) -> protocol.Prepare:
    from pegasus_runtime.bundle import open_bundle
    from pegasus_runtime.sessions.ort.encoder import OrtEncoder

    encoder = OrtEncoder(open_bundle(settings.folder), threads=settings.threads)

    def prepare(request: protocol.Request) -> Callable[[], protocol.Tokens]:
        def encode() -> protocol.Tokens:
            encoder.encode(request.sources)
            return [()] * len(request.sources)

        return encode

    return prepare


def describe(settings: protocol.WorkerSettings) -> str:
    """ONNX Runtime on the CPU, and whether it has our kernels."""
    from pegasus_runtime.sessions.ort.graph import describe_runtime

    return describe_runtime() if settings.device == "cpu" else ""


if __name__ == "__main__":
    tensorrts = (f"tensorrt-{library}cu{cuda}" for library in ("", "rtx-") for cuda in (12, 13))
    libraries = ("onnxruntime", "onnxruntime-gpu", "tensorrt", *tensorrts, "cuda-bindings")
    packages = ("pegasus-edge", "pegasus-edge-kernels", "numpy", *libraries)
    sys.exit(protocol.run_worker(import_engine, packages, describe))
