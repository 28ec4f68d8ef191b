"""Generation-config entries that change tokens in transformers and that this search lacks."""

from collections.abc import Mapping

__all__ = ["unsupported_defaults"]

# Name -> values that change nothing, besides None. Read from transformers 5.23's
# generation/configuration_utils.py; a test holds this table against the installed version.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "assistant_early_exit": (),
    "cache_implementation": ("dynamic", "static", "offloaded", "offloaded_static", "hybrid"),
    "constraints": (),
    "diversity_penalty": (0,),
    "dola_layers": (),
    "encoder_repetition_penalty": (1,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "exponential_decay_length_penalty": (),
    "force_bos_token_to_be_generated": (False,),
    "force_words_ids": (),
    "guidance_scale": (1,),
    "max_time": (),
    "min_p": (0,),
    "num_beam_groups": (1,),
    "penalty_alpha": (0,),
    "prompt_lookup_num_tokens": (),
    "remove_invalid_values": (False,),
    "renormalize_logits": (False,),
    "sequence_bias": (),
    "speculation_type": (),
    "stop_strings": ([],),
    "token_healing": (False,),
    "top_h": (),
    "typical_p": (1,),
    "use_mtp": (False,),
    "watermarking_config": (),
}


def unsupported_defaults(defaults: Mapping[str, object]) -> list[str]:
    """The names in a generation config whose values would change tokens, and are not implemented.

    Sorted. For the exporter and the loader, which refuse or warn: the search itself never reads
    these entries. Names that this table does not know are not reported: config.json of older
    checkpoints mixes generation settings with the architecture's.

    >>> unsupported_defaults({"num_beams": 8, "num_beam_groups": 1, "typical_p": 0.9})
    ['typical_p']
    """
    return sorted(
        name
        for name, neutral in _NEUTRAL.items()
        if defaults.get(name) is not None and defaults[name] not in neutral
    )
