"""transformers' arguments of `pipeline` itself: taken where they ask for what is done anyway.

Source: transformers 4.57, pipelines/__init__.py (`pipeline`) and base.py (`Pipeline.__init__`).
"""

from collections.abc import Collection, Mapping
from typing import Any

from pegasus_runtime.errors import OptionsError

__all__ = ["without_constructor_arguments"]

_PRECISION = (
    "a bundle has its precision already: export with --precision int8 (or int4, fp16), or pass "
    "precision= with the name of a checkpoint"
)
_PROVIDER = "leave it out; provider= says where a bundle runs ('cpu', 'cuda', 'tensorrt')"
_OWN = "a bundle holds its own: leave it out, or put it into the checkpoint before its export"

_ADVICE: Mapping[str, tuple[tuple[object, ...], str]] = {
    "args_parser": ((), "leave it out"),
    "binary_output": ((False,), "leave it out, and pickle what is returned"),
    "config": ((), _OWN),
    "device": ((-1, "cpu"), _PROVIDER),
    "device_map": (("cpu", "auto"), _PROVIDER),
    "dtype": (("auto",), _PRECISION),
    "feature_extractor": ((), _OWN),
    "framework": (("pt",), "leave it out: no framework is used"),
    "image_processor": ((), _OWN),
    "model_kwargs": (({},), "leave it out, and pass what `load` takes by its own name"),
    "modelcard": ((), "leave it out"),
    "pipeline_class": ((), "leave it out, and call the class itself"),
    "processor": ((), _OWN),
    "token": ((), "leave it out, and set HF_TOKEN"),
    "torch_dtype": (("auto",), _PRECISION),
    "trust_remote_code": ((True, False), "leave it out: no code of a checkpoint is run"),
    "use_fast": ((True, False), "leave it out: there is one tokenizer"),
}
"""Name -> values that change nothing here, besides None; and what to do instead of others."""


def without_constructor_arguments(
    model: object, keywords: Mapping[str, Any], *, taken_by_load: Collection[str]
) -> dict[str, Any]:
    """The keywords that are no argument of transformers' `pipeline`; those must ask for nothing.

    tokenizer: None, or what the model is called. Raises: OptionsError that says what to do.
    """
    others = {}
    for name, value in keywords.items():
        if name in taken_by_load or name not in {*_ADVICE, "tokenizer", "num_workers"}:
            others[name] = value
        elif name == "tokenizer" and value is not None and str(value) != str(model):
            raise OptionsError(f"tokenizer is {type(value).__name__} {_short(value)}: {_OWN}")
        elif name in _ADVICE and value is not None:
            harmless, advice = _ADVICE[name]
            if not (value in harmless or (name == "device" and str(value) == "cpu")):
                raise OptionsError(f"{name} is {_short(value)}: {advice}")
    return others


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
