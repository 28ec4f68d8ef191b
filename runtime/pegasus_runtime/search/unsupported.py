"""Generation-config entries that change tokens in transformers and that this search lacks."""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["unsupported_defaults"]

_Defaults = Mapping[str, Any]

# Name -> values that change nothing, besides None. Read from transformers 5.23's
# generation/configuration_utils.py; a test holds this table against the installed version.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "assistant_early_exit": (),
    "cache_implementation": (  # all but "quantized": how keys are kept, not what they are
        "dynamic",
        "hybrid",
        "hybrid_chunked",
        "offloaded",
        "offloaded_hybrid",
        "offloaded_hybrid_chunked",
        "offloaded_static",
        "sliding_window",
        "static",
    ),
    "constraints": (),
    "dola_layers": (),
    "force_bos_token_to_be_generated": (False,),
    "force_words_ids": (),
    "guidance_scale": (1,),
    "is_assistant": (False,),
    "num_beam_groups": (1,),
    "penalty_alpha": (0,),
    "prompt_lookup_num_tokens": (),
    "speculation_type": (),
    "stop_strings": ([],),
    "token_healing": (False,),
    "use_mtp": (False,),
    "watermarking_config": (),
}


def _is_one_beam(defaults: _Defaults) -> bool:
    return defaults.get("num_beams") in (None, 1)


def _is_contrastive(defaults: _Defaults) -> bool:
    top_k = 50 if defaults.get("top_k") is None else defaults["top_k"]
    return _is_one_beam(defaults) and defaults.get("do_sample") is not True and top_k > 1


# Where `get_generation_mode` looks at a name; elsewhere it has no effect, at most a warning.
_ONLY_WHERE: dict[str, Callable[[_Defaults], bool]] = {
    "assistant_early_exit": _is_one_beam,
    "dola_layers": _is_one_beam,
    "num_beam_groups": lambda defaults: not _is_one_beam(defaults),
    "penalty_alpha": _is_contrastive,
    "prompt_lookup_num_tokens": _is_one_beam,
    "use_mtp": _is_one_beam,
}


def unsupported_defaults(defaults: _Defaults) -> list[str]:
    """The names in a generation config whose values would change tokens, and are not implemented.

    Sorted. For the exporter and the loader, which refuse or warn: the search itself never reads
    these entries. Names that this table does not know are not reported: config.json of older
    checkpoints mixes generation settings with the architecture's.

    >>> unsupported_defaults({"num_beams": 8, "num_beam_groups": 2, "penalty_alpha": 0.6})
    ['num_beam_groups']
    """
    return sorted(
        name
        for name, neutral in _NEUTRAL.items()
        if defaults.get(name) is not None
        and defaults[name] not in neutral
        and _ONLY_WHERE.get(name, _always)(defaults)
    )


def _always(defaults: _Defaults) -> bool:
    return True
