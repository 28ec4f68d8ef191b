"""A bundle behind NVIDIA Triton's Python backend, by pegasus_runtime; it stands beside this file.

Each row of a request is a text with options of its own. Rows of all requests that come together,
and have the same options, run together. A row that fails ends its request, and no other.

Source of the interface: triton-inference-server/python_backend, README.md (July 2026). It needs
Triton 23.10 or newer.
"""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import triton_python_backend_utils as pb_utils

from pegasus_runtime import (
    Failure,
    GenerationInterrupted,
    GenerationOptions,
    InputError,
    OptionsError,
    PegasusError,
    Summarizer,
    Summary,
)

INPUTS = (
    {"name": "TEXT", "data_type": "TYPE_STRING", "dims": [1]},
    {"name": "OPTIONS", "data_type": "TYPE_STRING", "dims": [1], "optional": True},
)
OUTPUTS = (
    {"name": "SUMMARY", "data_type": "TYPE_STRING", "dims": [1]},
    {"name": "SCORE", "data_type": "TYPE_FP64", "dims": [1]},
    {"name": "TOKEN_IDS", "data_type": "TYPE_INT32", "dims": [-1]},
    {"name": "TRUNCATED", "data_type": "TYPE_BOOL", "dims": [1]},
    {"name": "UNKNOWN_SHARE", "data_type": "TYPE_FP64", "dims": [1]},
    {"name": "CONTROL_CHARACTERS", "data_type": "TYPE_INT32", "dims": [1]},
    {"name": "LOOKS_LIKE_HTML", "data_type": "TYPE_BOOL", "dims": [1]},
)
NO_TOKEN = -1
"""Fills rows of TOKEN_IDS that are shorter than the longest of their request."""

_WITHOUT_OUTPUT = ("num_return_sequences", "token_scores")
_NAMES = tuple(
    each.name for each in dataclasses.fields(GenerationOptions) if each.name not in _WITHOUT_OUTPUT
)
_LONG: tuple[Literal["error", "truncate", "chunk"], ...] = ("error", "truncate", "chunk")
_NEWLINES: tuple[Literal["hf", "original"], ...] = ("hf", "original")

T = TypeVar("T", bound=str)
N = TypeVar("N", int, float)
_ASKS_EVERY_S = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One text of one request."""

    request: int
    row: int
    text: str
    options: GenerationOptions
    key: str
    """Of equal options equal."""


class TritonPythonModel:
    """What Triton looks for in this file, by this name."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Inputs and outputs, where a configuration leaves them out; batching, if it has none."""
        given = config.as_dict()
        is_minimal = not given.get("input") and not given.get("max_batch_size")
        for each in INPUTS:
            config.add_input(dict(each))
        for each in OUTPUTS:
            config.add_output(dict(each))
        if is_minimal:
            config.set_max_batch_size(16)
            config.set_dynamic_batching()
        return config

    def initialize(self, args: Mapping[str, str]) -> None:
        """Loads the bundle. Whatever it raises, Triton tells, and does not serve the model."""
        parameters = json.loads(args["model_config"]).get("parameters", {})
        given = {name: each["string_value"] for name, each in parameters.items()}
        version = Path(args["model_repository"], args["model_version"])
        self._long = _one_of("long", given.get("long") or "error", _LONG)
        warms_up = _one_of("warm_up", given.get("warm_up") or "false", ("false", "true"))
        self._summarizer = Summarizer.load(
            version / (given.get("bundle") or "bundle"),
            provider=given.get("provider") or "auto",
            threads=_number("threads", given, int),
            kernel_cache=given.get("kernel_cache") or None,
            manifest_sha256=given.get("manifest_sha256") or None,
            newlines=_one_of("newlines", given.get("newlines") or "hf", _NEWLINES),
            max_unknown=_number("max_unknown", given, float),
        )
        if warms_up == "true":
            self._summarizer.warm_up()

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """A response for each request, in their order."""
        rows: list[_Row] = []
        errors: dict[int, Any] = {}
        results: dict[int, dict[int, Summary]] = {}
        for number, request in enumerate(requests):
            try:
                _refuse_cancelled(request)
                rows += _read_rows(number, request)
            except _RefusedError as err:
                errors[number] = err.error
        for group in _by_options(rows):
            # Of a request that has failed already, nothing is needed.
            needed = [row for row in group if row.request not in errors]
            if needed:
                self._run(needed, requests, results, errors)
        return [
            pb_utils.InferenceResponse(error=errors[number])
            if number in errors
            else _response(request, results[number])
            for number, request in enumerate(requests)
        ]

    def finalize(self) -> None:
        """Lets go of the engine."""
        self._summarizer.close()

    def _run(
        self,
        rows: Sequence[_Row],
        requests: Sequence[Any],
        results: dict[int, dict[int, Summary]],
        errors: dict[int, Any],
    ) -> None:
        """Rows of the same options: their summaries into `results`, what failed into `errors`."""
        stop = _Stop({row.request: requests[row.request] for row in rows})
        try:
            found = list(
                self._summarizer.summarize_each(
                    [row.text for row in rows],
                    rows[0].options,
                    long=self._long,
                    errors="return",
                    window=max(len(rows), 2),
                    on_step=stop.ask,
                    cancel=stop,
                )
            )
        except PegasusError as err:
            is_cancelled = isinstance(err, GenerationInterrupted)
            error = _cancelled() if is_cancelled else _triton_error(err)
            errors |= {row.request: error for row in rows}
            return
        for row, result in zip(rows, found, strict=True):
            if isinstance(result, Failure):
                where = f"text {row.row}: " if row.row else ""
                errors.setdefault(row.request, _triton_error(result.error, where))
            else:
                results.setdefault(row.request, {})[row.row] = result


class _Stop:
    """Ends a run when all of its requests have been cancelled.

    They are asked between two steps, in the thread that Triton called.
    """

    def __init__(self, requests: Mapping[int, Any]) -> None:
        self._requests = requests
        self._asked_s = time.monotonic()
        self._event = threading.Event()

    def is_set(self) -> bool:
        return self._event.is_set()

    def ask(self, num_tokens: int, max_length: int) -> None:
        if time.monotonic() - self._asked_s < _ASKS_EVERY_S:
            return
        if all(request.is_cancelled() for request in self._requests.values()):
            self._event.set()
        self._asked_s = time.monotonic()


class _RefusedError(Exception):
    """A request that is not run."""

    def __init__(self, error: Any) -> None:
        super().__init__(error.message())
        self.error = error


def _refuse_cancelled(request: Any) -> None:
    if request.is_cancelled():
        raise _RefusedError(_cancelled())


def _read_rows(number: int, request: Any) -> list[_Row]:
    """All texts of a request. Raises: _RefusedError."""
    texts = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)
    tensor = pb_utils.get_input_tensor_by_name(request, "OPTIONS")
    options = [b""] * len(texts) if tensor is None else tensor.as_numpy().reshape(-1)
    if len(options) != len(texts):
        raise _RefusedError(
            _triton_error(InputError(f"OPTIONS has {len(options)} rows, TEXT has {len(texts)}"))
        )
    if not len(texts):
        raise _RefusedError(_triton_error(InputError("TEXT has no rows, expected 1 or more")))
    rows = []
    for row, (text, given) in enumerate(zip(texts, options, strict=True)):
        try:
            read, key = _read_options(_decode("OPTIONS", given))
            rows.append(
                _Row(request=number, row=row, text=_decode("TEXT", text), options=read, key=key)
            )
        except PegasusError as err:
            raise _RefusedError(_triton_error(err, f"text {row}: " if row else "")) from err
    return rows


def _decode(name: str, value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError as err:
        raise InputError(f"{name} is not UTF-8 (byte {err.start}): encode it as that") from err


def _read_options(text: str) -> tuple[GenerationOptions, str]:
    """Options of a JSON object, and what is the same for equal ones. Raises: OptionsError."""
    if not text.strip():
        return GenerationOptions(), "{}"
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise OptionsError(
            f'OPTIONS is no JSON ({err}): pass an object, {{"num_beams": 4}}'
        ) from err
    if not isinstance(given, dict):
        raise OptionsError(f'OPTIONS is {text[:40]}: pass an object, {{"num_beams": 4}}')
    unknown = sorted(given.keys() - {*_NAMES})
    if unknown:
        raise OptionsError(f"OPTIONS has {unknown[0]!r}, expected any of {', '.join(_NAMES)}")
    return GenerationOptions(**given), json.dumps(given, sort_keys=True)


def _by_options(rows: Sequence[_Row]) -> Iterable[list[_Row]]:
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(row.key, []).append(row)
    return groups.values()


def _response(request: Any, found: Mapping[int, Summary]) -> Any:
    """found: the summaries of a request's texts, by their rows."""
    if request.is_cancelled():
        return pb_utils.InferenceResponse(error=_cancelled())
    summaries = [found[row] for row in sorted(found)]
    # [B, 1] where Triton batches, and [1] where it does not.
    shape = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy().shape
    longest = max(len(each.token_ids) for each in summaries)
    token_ids = [
        [*each.token_ids, *[NO_TOKEN] * (longest - len(each.token_ids))] for each in summaries
    ]
    columns: dict[str, tuple[list[Any], Any]] = {
        "SUMMARY": ([each.text.encode() for each in summaries], np.object_),
        "SCORE": ([each.score for each in summaries], np.float64),
        "TRUNCATED": ([each.truncated for each in summaries], np.bool_),
        "UNKNOWN_SHARE": ([each.unknown_share for each in summaries], np.float64),
        "CONTROL_CHARACTERS": ([each.control_characters for each in summaries], np.int32),
        "LOOKS_LIKE_HTML": ([each.looks_like_html for each in summaries], np.bool_),
    }
    tensors = [
        pb_utils.Tensor(name, np.array(values, dtype=dtype).reshape(shape))
        for name, (values, dtype) in columns.items()
    ]
    ids = np.array(token_ids, dtype=np.int32).reshape((*shape[:-1], longest))
    return pb_utils.InferenceResponse(output_tensors=[*tensors, pb_utils.Tensor("TOKEN_IDS", ids)])


def _triton_error(error: PegasusError, where: str = "") -> Any:
    is_theirs = isinstance(error, InputError | OptionsError)
    code = pb_utils.TritonError.INVALID_ARG if is_theirs else pb_utils.TritonError.INTERNAL
    return pb_utils.TritonError(f"{where}{error}", code)


def _cancelled() -> Any:
    return pb_utils.TritonError("the request was cancelled", pb_utils.TritonError.CANCELLED)


def _one_of(name: str, value: str, allowed: tuple[T, ...]) -> T:
    for each in allowed:
        if each == value:
            return each
    raise OptionsError(f"parameter {name} is {value!r}, expected {' or '.join(allowed)}")


def _number(name: str, given: Mapping[str, str], kind: Callable[[str], N]) -> N | None:
    """A parameter of config.pbtxt; None where it is empty. Raises: OptionsError."""
    if not given.get(name):
        return None
    try:
        return kind(given[name])
    except ValueError as err:
        raise OptionsError(f"parameter {name} is {given[name]!r}, expected a number") from err
