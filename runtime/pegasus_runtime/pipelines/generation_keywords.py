"""generate's options by keyword, over the pipeline's own defaults, over the checkpoint's.

Source: transformers 4.57, pipelines/base.py (`Pipeline.__init__`), where a pipeline's default wins
over a checkpoint's wherever it is not that of `GenerationConfig` itself: of text to text, 4 beams,
whatever the checkpoint has; and 256 new tokens, where it has no max_length.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.defaults import SAMPLING_OPTIONS
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.unsupported import unsupported_defaults

__all__ = [
    "DEFAULT_MAX_LENGTH",
    "GENERATION_KEYWORDS",
    "PipelineDefaults",
    "generation_options",
    "own_max_length",
    "task_settings",
]

_LOG = logging.getLogger(__name__)

DEFAULT_MAX_LENGTH = 20
"""GenerationConfig's: a checkpoint that has it is as one that has none."""
_TOKEN_IDS = ("pad_token_id", "bos_token_id", "decoder_start_token_id")
_NO_EFFECT: Mapping[str, tuple[object, ...]] = {
    "disable_compile": (True, False),
    "diversity_penalty": (0,),
    "low_memory": (True, False),
    "output_attentions": (False,),
    "output_hidden_states": (False,),
    "output_logits": (False,),
    "output_scores": (False,),
    "return_dict_in_generate": (False,),
    "synced_gpus": (True, False),
    "use_cache": (True, False),
}
"""Values by which tokens stay as they are, of what is no option here."""
_NEUTRAL_IF_DEFAULT = (
    "cache_implementation",
    "guidance_scale",
    "is_assistant",
    "num_beam_groups",
    "penalty_alpha",
    "stop_strings",
    "token_healing",
)
_OPTIONS = {each.name for each in fields(GenerationOptions)} - {"token_scores"}

GENERATION_KEYWORDS = frozenset(
    {*_OPTIONS, *_TOKEN_IDS, *_NO_EFFECT, *_NEUTRAL_IF_DEFAULT, "generation_config"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineDefaults:
    """What a pipeline generates with when neither its caller nor the checkpoint says otherwise."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """They win over the checkpoint's."""
    max_new_tokens: int = 256
    """Where the checkpoint has no max_length."""


def task_settings(manifest: Manifest, task: str) -> dict[str, Any]:
    """What the checkpoint's task_specific_params set for exactly this task, `prefix` among it."""
    tasks = manifest.generation.get("task_specific_params")
    settings = tasks.get(task) if isinstance(tasks, Mapping) else None
    return dict(settings) if isinstance(settings, Mapping) else {}


def own_max_length(manifest: Manifest, given: Mapping[str, Any]) -> int | None:
    """What the caller set, or else the checkpoint. Raises: OptionsError."""
    if given.get("max_length") is not None:
        return GenerationOptions(max_length=given["max_length"]).max_length  # checked
    own: Any = manifest.generation.get("max_length")
    return None if own in (None, DEFAULT_MAX_LENGTH) else int(own)


def generation_options(
    manifest: Manifest,
    task: str,
    defaults: PipelineDefaults,
    given: Mapping[str, Any],
    *,
    prompt_tokens: int = 1,
) -> GenerationOptions:
    """The options of one call; what they leave open, the bundle's own defaults fill.

    given: of `GENERATION_KEYWORDS`. With `generation_config`, the pipeline's defaults have no part.
    prompt_tokens: that a row begins with.
    Raises: OptionsError.
    """
    given = _without_what_is_so_anyway(manifest, given)
    config = given.pop("generation_config", None)
    if config is not None:
        values = _as_values(config)
    else:
        entry = task_settings(manifest, task)
        _check_offered(task, entry)
        values = {**_fitting(defaults, manifest), **{k: entry[k] for k in entry if k in _OPTIONS}}
        if own_max_length(manifest, given) is None and "max_new_tokens" not in given:
            prompt = prompt_tokens + len(given.get("decoder_input_ids") or ())
            # As many as the bundle takes, where transformers would fail when it gets there.
            room = max(1, manifest.limits.max_target_tokens - prompt)
            values["max_new_tokens"] = min(defaults.max_new_tokens, room)
    return GenerationOptions(**_without_idle_sampling(values | given, manifest, given))


def _fitting(defaults: PipelineDefaults, manifest: Manifest) -> dict[str, Any]:
    """A pipeline's own beams are as many as the bundle takes, if that is fewer."""
    values = dict(defaults.settings)
    if "num_beams" in values:
        values["num_beams"] = min(values["num_beams"], manifest.limits.max_beams)
    return values


def _without_what_is_so_anyway(manifest: Manifest, given: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in given.items():
        if name in _OPTIONS or name == "generation_config":
            kept[name] = value
        elif name in _TOKEN_IDS:
            _check_token_id(manifest, name, value)
        elif unsupported_defaults(
            {name: value, "num_beams": 2 if name == "num_beam_groups" else 1}
        ) or (name in _NO_EFFECT and value not in _NO_EFFECT[name]):
            raise OptionsError(f"{name} is {value!r}, which is not offered: leave it out")
    return kept


def _check_token_id(manifest: Manifest, name: str, value: Any) -> None:
    own = getattr(manifest.token_ids, name)
    if value != own:
        raise OptionsError(
            f"{name} is {value!r}, the bundle has {own}: set it in the checkpoint's "
            "generation_config.json, and export it again"
        )


def _as_values(config: object) -> dict[str, Any]:
    if not isinstance(config, GenerationOptions):
        raise OptionsError(
            f"generation_config is {type(config).__name__}, expected GenerationOptions: or pass "
            "its settings by their names"
        )
    values = {each.name: getattr(config, each.name) for each in fields(config)}
    return {name: value for name, value in values.items() if value is not None}


def _check_offered(task: str, entry: Mapping[str, Any]) -> None:
    if names := unsupported_defaults(entry):
        raise OptionsError(
            f"task_specific_params of {task} set {', '.join(names)}, which is not offered: export "
            "the checkpoint without it"
        )


def _without_idle_sampling(
    values: Mapping[str, Any], manifest: Manifest, given: Mapping[str, Any]
) -> dict[str, Any]:
    """transformers warns, and goes on."""
    if values.get("do_sample", manifest.generation.get("do_sample")):
        return dict(values)
    if idle := [name for name in SAMPLING_OPTIONS if name in given]:
        _LOG.warning("%s has no effect without do_sample=True", ", ".join(idle))
    return {name: value for name, value in values.items() if name not in SAMPLING_OPTIONS}
