"""The plans of a run: prepared, or built here of graphs that were, once for all parts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu.setting import CASES, GRAPHS, GateSetting, SkippedError
from pegasus_engines.plans.build import BuildRequest, build_bundle
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.tensorrt import load_flavour

__all__ = ["Case", "any_bundle", "load_summarizer", "plans_of", "read_cases"]

Hypotheses = Sequence[tuple[tuple[int, ...], float]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A batch, its options, and what transformers makes of it: sequences and scores."""

    sources: Sequence[Sequence[int]]
    options: GenerationOptions | None
    expected: Sequence[Hypotheses]

    @property
    def is_drawn(self) -> bool:
        """Whether rounding may decide which token is drawn."""
        return self.options is not None and bool(self.options.do_sample)


def read_cases(setting: GateSetting, name: str) -> list[Case]:
    """Of a bundle's checkpoint, whatever target and precision it has."""
    checkpoint = name.removeprefix("trt-rtx-").removeprefix("trt-").rpartition("-")[0]
    found: list[dict[str, Any]] = json.loads(
        (setting.prepared / CASES / f"{checkpoint}.json").read_text("utf-8")
    )
    return [
        Case(
            sources=case["sources"],
            options=None if case["options"] is None else _options(case["options"]),
            expected=[[(tuple(tokens), score) for tokens, score in x] for x in case["expected"]],
        )
        for case in found[: setting.num_cases]
    ]


def plans_of(setting: GateSetting, name: str, plugin_way: str | None = None) -> tuple[Path, float]:
    """The folder of a bundle's plans, and the seconds of its build.

    plugin_way: of `BuildRequest`, for plans besides the usual ones. Raises: SkippedError,
    EngineError.
    """
    graphs = setting.prepared / GRAPHS / name
    bundle = open_bundle(graphs)
    plans = bundle.manifest.plans
    assert plans is not None
    if plans.version is not None and plugin_way is None:
        return graphs, 0.0
    try:
        flavour = load_flavour(bundle.manifest.target)
    except EngineError as err:
        raise SkippedError(str(err).partition(": ")[0]) from err
    output = setting.work / "plans" / (name if plugin_way is None else f"{name}-{plugin_way}")
    if output.exists():
        return output, 0.0
    output.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    if setting.stand_ins:
        from gpu_stand_ins.onnx_plans import write_onnx_plans

        write_onnx_plans(graphs, output, flavour.version)
    else:
        request = BuildRequest(compute_capabilities=(), plugin_way=plugin_way or "auto")
        build_bundle(graphs, output, request)
    return output, time.perf_counter() - started


def load_summarizer(setting: GateSetting, name: str) -> Summarizer:
    """Raises: SkippedError; what loading raises."""
    return Summarizer.load(plans_of(setting, name)[0])


def any_bundle(setting: GateSetting) -> str:
    """The first whose TensorRT is here; fp32, for its tokens are transformers'.

    Raises: SkippedError; EngineError if a build failed and no other bundle is there.
    """
    reason: Exception = SkippedError("no bundle was prepared")
    for name in sorted(setting.bundles, key=lambda x: (not x.endswith("-fp32"), "bigbird" in x)):
        try:
            plans_of(setting, name)
        except SkippedError as err:
            reason = reason if isinstance(reason, EngineError) else err
        except EngineError as err:
            reason = err
        else:
            return name
    raise reason


def _options(found: dict[str, Any]) -> GenerationOptions:
    biases = found.pop("sequence_bias", None)
    decay = found.pop("exponential_decay_length_penalty", None)
    return GenerationOptions(
        **found,
        sequence_bias=biases,
        exponential_decay_length_penalty=None if decay is None else tuple(decay),
    )
