"""A bundle of lower precision beside its checkpoint, on the same documents."""

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from pegasus_export.errors import CalibrationError
from pegasus_export.measure.documents import CalibrationDocument
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.verify.device import open_on_host
from pegasus_export.verify.onnx_engine import OnnxEngine
from pegasus_export.verify.tokens import (
    TokenChanges,
    Tokens,
    compare_tokens,
    rouge_drop,
    summarize_sources,
)
from pegasus_export.verify.torch_engine import TorchEngine
from pegasus_runtime.bundle import Bundle, Manifest
from pegasus_runtime.decoding.protocol import Engine
from pegasus_runtime.errors import InputError, OptionsError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.sessions.device.engine import is_device_bundle
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["Baseline", "compare_bundle", "make_baseline"]

_GREEDY_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """What the checkpoint makes of some documents, in fp32."""

    documents: Sequence[CalibrationDocument]
    sources: Sequence[Sequence[int]]
    summaries: Sequence[Tokens]
    settings: SearchSettings
    tokenizer: Tokenizer


def make_baseline(
    pegasus: Pegasus,
    tokenizer: Tokenizer,
    documents: Sequence[CalibrationDocument],
    *,
    manifest: Manifest,
    max_length: int | None = None,
) -> Baseline:
    """Summarises the documents with the torch modules and the checkpoint's own defaults and limits.

    Documents over the limit are cut. max_length: ends summaries earlier than the defaults do.
    Bundles for others are compared greedily: what they are told to do is nobody's business here.
    Raises: CalibrationError.
    """
    limits = manifest.limits
    try:
        if manifest.target == "onnx":
            manifest = dataclasses.replace(manifest, generation={})
            greedy = GenerationOptions(max_length=min(_GREEDY_TOKENS, limits.max_target_tokens))
            settings = resolve_for_manifest(greedy, manifest)
        else:
            settings = resolve_for_manifest(GenerationOptions(), manifest)
        sources = [
            tokenizer.encode(
                each.text, max_tokens=limits.max_source_tokens, truncate=True
            ).token_ids
            for each in documents
        ]
    except (InputError, OptionsError) as err:
        raise CalibrationError(f"the calibration documents cannot be summarised: {err}") from err
    if max_length is not None:
        settings = dataclasses.replace(settings, max_length=min(max_length, settings.max_length))
    return Baseline(
        documents=documents,
        sources=sources,
        summaries=summarize_sources(TorchEngine(pegasus), sources, settings),
        settings=settings,
        tokenizer=tokenizer,
    )


def compare_bundle(bundle: Bundle, baseline: Baseline, *, with_rouge: bool) -> TokenChanges:
    """Summarises the same documents with the bundle, on the CPU: each alone, and in batches.

    Raises: EngineError, CalibrationError.
    """
    with _open_engine(bundle) as engine:
        summaries, batched = (
            summarize_sources(engine, baseline.sources, baseline.settings, max_batch=max_batch)
            for max_batch in (1, bundle.manifest.limits.max_batch)
        )
    drop = None
    if with_rouge:
        drop = rouge_drop(baseline.documents, baseline.tokenizer, baseline.summaries, summaries)
    return compare_tokens(baseline.summaries, summaries, batched=batched, drop=drop)


def _open_engine(bundle: Bundle) -> contextlib.AbstractContextManager[Engine]:
    if is_device_bundle(bundle):
        return open_on_host(bundle)
    if bundle.manifest.target == "onnx":
        return contextlib.nullcontext(OnnxEngine(bundle))
    return contextlib.nullcontext(OrtEngine(bundle))
