"""Times operators alone, in ONNX Runtime's own spelling and in ours, in turns.

Run with the environment that chooses the instructions; a JSON object on stdin has the settings, and
one on stdout has, for each case, milliseconds of every round by spelling. Before each round memory
is read until no cache holds what the operator needs, as between two calls in a decoder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime

from harness.kernel_cases import PEGASUS_LARGE, TINY, KernelCase, make_cases, make_model
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.kernels import Kernels, look_for_kernels, register

CACHE_BYTES = 64 * 2**20
LEAST_ROUNDS = 5
TOLERANCE = 0.01  # of the largest number; halves have eleven bits
Call = Callable[[], list[npt.NDArray[np.float32]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSettings:
    """What a worker is asked for."""

    threads: int
    seconds: float
    """For each case, once there are rounds enough."""
    most_rounds: int
    is_tiny: bool
    only: str = ""
    """What names of cases contain."""

    def cases(self) -> list[KernelCase]:
        found = make_cases(TINY if self.is_tiny else PEGASUS_LARGE)
        return [case for case in found if self.only in case.name]

    def to_line(self) -> str:
        return json.dumps(asdict(self))


def measure_case(
    case: KernelCase, kernels: Kernels, settings: KernelSettings
) -> dict[str, list[float]]:
    """Spelling -> milliseconds; "ours" where kernels have the operator. Raises: EngineError."""
    inputs = case.inputs()
    model = ir.to_proto(make_model(case, inputs)).SerializeToString()
    calls = {"stock": _bind(_open_session(model, settings.threads), case, inputs)}
    if case.operator in kernels.operators:
        ours = _open_session(model, settings.threads, kernels)
        calls["ours"] = _bind(ours, case, case.for_kernels(inputs, _half(kernels)))
    results = {name: call() for name, call in calls.items()}
    if "ours" in results:
        _compare(case, results["stock"], results["ours"], kernels)
    times: dict[str, list[float]] = {name: [] for name in calls}
    other = np.ones(CACHE_BYTES // 8)
    started = time.perf_counter()
    for number in range(settings.most_rounds):
        if number >= LEAST_ROUNDS and time.perf_counter() - started > settings.seconds:
            break
        for name, call in calls.items():
            other.sum()
            before = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - before))
    return times


def _open_session(
    model: bytes, threads: int, kernels: Kernels | None = None
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    if kernels:
        register(kernels, options)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _bind(
    session: onnxruntime.InferenceSession,
    case: KernelCase,
    inputs: Mapping[str, npt.NDArray[Any]],
) -> Call:
    """A run with all memory bound, which returns its outputs' arrays."""
    given = {each.name: inputs[each.name].copy() for each in session.get_inputs()}
    outputs = _room(session, case, given)
    binding = session.io_binding()
    for name, array in given.items():
        binding.bind_ortvalue_input(name, _value(array))
    for each, array in zip(session.get_outputs(), outputs, strict=True):
        binding.bind_ortvalue_output(each.name, _value(array))

    def call() -> list[npt.NDArray[np.float32]]:
        session.run_with_iobinding(binding)
        return outputs

    return call


def _value(array: npt.NDArray[Any]) -> onnxruntime.OrtValue:
    """The array's own memory."""
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def _room(
    session: onnxruntime.InferenceSession, case: KernelCase, given: Mapping[str, npt.NDArray[Any]]
) -> list[npt.NDArray[np.float32]]:
    """Arrays for the outputs, of the shapes that a run gives."""
    copies = {name: array.copy() for name, array in given.items()}
    made = session.run(None, copies)
    return [
        given[case.in_place[number]] if number in case.in_place else np.empty_like(array)
        for number, array in enumerate(made)
    ]


def _half(kernels: Kernels) -> npt.DTypeLike:
    """What they keep in 16 bits."""
    return ml_dtypes.bfloat16 if kernels.keep_bfloat16 else np.float16


def _compare(
    case: KernelCase,
    stock: list[npt.NDArray[np.float32]],
    ours: list[npt.NDArray[np.float32]],
    kernels: Kernels,
) -> None:
    for expected, got in zip(stock, ours, strict=True):
        numbers = got.view(_half(kernels)).astype(np.float32) if case.gives_halves else got
        least = 0.0 if case.is_exact else TOLERANCE * float(np.abs(expected).max())
        error = float(np.abs(numbers - expected).max())
        if not error <= least:
            raise EngineError(
                f"{case.name}: ours differs by {error:.3g} from ONNX Runtime's, expected "
                f"{least:.3g} at most, so that nothing is timed"
            )


def main() -> int:
    settings = KernelSettings(**json.loads(sys.stdin.read()))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others write to stdout goes to stderr from now on
    kernels = look_for_kernels()
    if not isinstance(kernels, Kernels):
        sys.exit(f"there are no kernels to measure: {kernels}")
    found = {}
    for case in settings.cases():
        print(f"{kernels.instructions}: {case.name}", file=sys.stderr, flush=True)
        try:
            found[case.name] = measure_case(case, kernels, settings)
        except EngineError as err:
            sys.exit(str(err))
    print(json.dumps({"engine": str(kernels), "times": found}), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
