"""What generation_config.json can say."""

from pathlib import Path
from typing import Any

from zoo.trait import Change, Trait, in_config, in_generation

__all__ = ["SETTINGS"]

_TAKEN: dict[str, dict[str, Any]] = {
    "temperature 0 without sampling": {"temperature": 0.0},
    "top_k -1 without sampling": {"top_k": -1},
    "top_p 1.5 without sampling": {"top_p": 1.5},
    "min_p without sampling": {"min_p": 0.1},
    "typical_p without sampling": {"typical_p": 0.9},
    "early_stopping 1": {"early_stopping": 1},
    "early_stopping 0": {"early_stopping": 0},
    "early_stopping true": {"early_stopping": True},
    "early_stopping never": {"early_stopping": "never"},
    "length_penalty 20": {"length_penalty": 20.0},
    "length_penalty below 0": {"length_penalty": -1.0},
    "length_penalty as an integer": {"length_penalty": 2},
    "min_length -1": {"min_length": -1},
    "max_new_tokens": {"max_new_tokens": 9},
    "min_new_tokens": {"min_new_tokens": 9},
    "greedy": {"num_beams": 1},
    "num_return_sequences": {"num_return_sequences": 2},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 2},
    "encoder_no_repeat_ngram_size": {"encoder_no_repeat_ngram_size": 2},
    "repetition_penalty": {"repetition_penalty": 1.3},
    "encoder_repetition_penalty": {"encoder_repetition_penalty": 1.4},
    "bad_words_ids": {"bad_words_ids": [[112], [113, 114], [1]]},
    "suppress_tokens": {"suppress_tokens": [111, 112, 115]},
    "begin_suppress_tokens": {"begin_suppress_tokens": [111, 120, 130]},
    "forced_bos_token_id": {"forced_bos_token_id": 120},
    "forced eos in a list": {"forced_eos_token_id": [1]},
    "no forced eos": {"forced_eos_token_id": None},
    "exponential_decay_length_penalty from 6.0": {"exponential_decay_length_penalty": [6.0, 1.3]},
    "more beams than bundles have room for by default": {"num_beams": 40},
    "exponential_decay_length_penalty": {"exponential_decay_length_penalty": [6, 1.3]},
    "sequence_bias": {"sequence_bias": [[[112], -5.0], [[120, 121], 3.0]]},
    "renormalize_logits": {"renormalize_logits": True, "repetition_penalty": 1.2},
    "remove_invalid_values": {"remove_invalid_values": True},
    "a start in a list": {"decoder_start_token_id": [0]},
    "a cache of its own": {"cache_implementation": "static"},
    "outputs that nobody takes": {"output_scores": True, "output_attentions": False},
    "a dict, please": {"return_dict_in_generate": True, "output_scores": True},
    "use_cache false among the settings": {"use_cache": False},
    "old keys": {"diversity_penalty": 0.0, "num_beam_groups": 1},
    "a key of tomorrow": {"speculative_thinking": 3},
    "max_length 2": {"max_length": 2, "min_length": 0},
    "min_length of the whole length": {"min_length": 24},
    "more beams than candidates of some": {"num_beams": 16},
    "without guidance": {"guidance_scale": 1.0},
    "written from the model's": {"_from_model_config": True, "transformers_version": "4.31.0"},
    "dola_layers with beams": {"dola_layers": "low"},
    "prompt lookup of nothing": {"prompt_lookup_num_tokens": None, "assistant_early_exit": None},
}
_REFUSED: dict[str, dict[str, Any]] = {
    "num_beam_groups": {"num_beam_groups": 2, "diversity_penalty": 0.5},
    "penalty_alpha": {"penalty_alpha": 0.6, "top_k": 4, "num_beams": 1},
    "guidance_scale": {"guidance_scale": 1.5},
    "stop_strings": {"stop_strings": ["."]},
    "watermarking_config": {"watermarking_config": {"greenlist_ratio": 0.3, "bias": 2.0}},
    "force_words_ids": {"force_words_ids": [[120]]},
    "dola_layers": {"dola_layers": "low", "num_beams": 1},
}

_UNREADABLE = {
    "blank": b"",
    "broken": b'{"num_beams":',
    "with a BOM": b'\xef\xbb\xbf{"num_beams": 2}',
}


def _file_of(content: bytes) -> Change:
    """Settings that transformers cannot read, and others in config.json."""

    def change(folder: Path) -> None:
        (folder / "generation_config.json").write_bytes(content)
        in_config(num_beams=3, max_length=14)(folder)

    return change


SETTINGS: tuple[Trait, ...] = (
    *(
        Trait(name=f"generation_config.json {name}", change=_file_of(content))
        for name, content in _UNREADABLE.items()
    ),
    Trait(
        name="generation_config.json of null, refused",
        change=_file_of(b"null"),
        refused=r"generation_config\.json holds a JSON NoneType",
    ),
    Trait(
        name="length_penalty by which there is no summary",
        change=in_generation(length_penalty=-300.0),
        refused=r"length_penalty -300, by which no summary of \d+ tokens or more has a score",
    ),
    Trait(
        name="the forced end suppressed",
        change=in_generation(max_length=2, min_length=0, begin_suppress_tokens=[1]),
        refused="forced_eos_token_id 1 is suppressed at max_length: remove it from suppress_tokens",
    ),
    Trait(
        name="length_penalty -300 of nothing but EOS",
        change=in_generation(max_length=2, min_length=0, length_penalty=-300.0),
    ),
    Trait(
        name="watermarking_config of defaults alone, refused",
        change=in_generation(watermarking_config={}),
        refused="watermarking_config",
    ),
    *(Trait(name=name, change=in_generation(**values)) for name, values in _TAKEN.items()),
    *(
        Trait(name=f"{name}, refused", change=in_generation(**values), refused=name)
        for name, values in _REFUSED.items()
    ),
    Trait(
        name="num_beam_groups in config.json alone, refused",
        change=lambda folder: (
            (folder / "generation_config.json").unlink(),
            in_config(num_beam_groups=2, num_beams=4, diversity_penalty=0.5)(folder),
        ),
        refused="num_beam_groups",
    ),
    Trait(
        name="task_specific_params",
        change=in_config(
            task_specific_params={
                "summarization_cnn": {"num_beams": 2, "max_length": 14, "length_penalty": 2.0}
            }
        ),
    ),
)
