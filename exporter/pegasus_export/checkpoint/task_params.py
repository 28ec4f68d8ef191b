"""`task_specific_params` of a config.json: settings for one task each, which a caller may ask for.

Their own task is applied by transformers' pipelines (until 4.57), over the generation settings: so
does `pegasus_runtime.pipeline`, which finds them in the manifest.
"""

from collections.abc import Mapping
from typing import Any

from pegasus_export.checkpoint.generation import GENERATION_KEYS
from pegasus_export.errors import UnsupportedError
from pegasus_runtime.spelling import did_you_mean

__all__ = ["apply_task_params", "list_task_params", "pipeline_settings"]

_PIPELINES = ("summarization", "text2text-generation", "text-generation")


def pipeline_settings(config_fields: Mapping[str, Any]) -> dict[str, object]:
    """What of a config.json changes a pipeline alone, under its own names: settings of a task that
    is called as the pipeline is, and a prefix of every text."""
    found: dict[str, object] = {}
    tasks = [task for task in list_task_params(config_fields) if task in _PIPELINES]
    if tasks:
        given = config_fields["task_specific_params"]
        found["task_specific_params"] = {task: given[task] for task in tasks}
    prefix = config_fields.get("prefix")
    if isinstance(prefix, str) and prefix:
        found["prefix"] = prefix
    return found


def list_task_params(config_fields: Mapping[str, Any]) -> list[str]:
    """The tasks that a config.json has settings for; those of no settings at all are left out."""
    given = config_fields.get("task_specific_params")
    if not isinstance(given, Mapping):
        return []
    return [task for task, settings in given.items() if isinstance(settings, Mapping) and settings]


def apply_task_params(
    generation: Mapping[str, object], config_fields: Mapping[str, Any], task: str
) -> tuple[dict[str, object], list[str]]:
    """The generation settings with a task's over them, and notes on what has no part in these.

    Raises: UnsupportedError for a task that is not there, and for a prefix of the text.
    """
    known = list_task_params(config_fields)
    if task not in known:
        has = f"has {', '.join(known)}" if known else "has none"
        near = did_you_mean(task, known)
        raise UnsupportedError(
            f"--task-params is {task!r}, task_specific_params of config.json {has}{near}"
        )
    given = config_fields["task_specific_params"][task]
    if given.get("prefix"):
        raise UnsupportedError(
            f"task_specific_params of {task} put prefix {given['prefix']!r} before every text, "
            "which pegasus-edge does not: leave --task-params out, and give its settings as options"
        )
    settings = {name: value for name, value in given.items() if name in GENERATION_KEYS}
    others = [
        f"{name} {value}"
        for name, value in given.items()
        if name not in settings and name != "prefix" and config_fields.get(name) != value
    ]
    notes = []
    if others:
        notes.append(
            f"of task_specific_params {task}, {', '.join(others)} is left out: the network stays "
            "as it is"
        )
    merged = {**generation, **settings}
    return {name: value for name, value in merged.items() if value is not None}, notes
