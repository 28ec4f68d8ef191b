"""What the configurations of published checkpoints say, as facts: no file is copied here.

`Source` says how each is known. "stored": from a copy of the file. "converter": from the table that
transformers 3.1 converted the originals with (configuration_pegasus.py); their min_length is from
descriptions. "described": documentation, repositories and names tell the shape; the rest is that of
the checkpoint that it was made from, or inferred.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = ["PUBLISHED", "Published"]

Source = Literal["stored", "converter", "described"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A checkpoint's config.json, and its generation_config.json where it has one."""

    name: str
    source: Source
    config: Mapping[str, Any]
    generation: Mapping[str, Any] | None = field(default=None)


_LEGACY: Final[Mapping[str, Any]] = {
    "add_bias_logits": False,
    "add_final_layer_norm": True,
    "classif_dropout": 0.0,
    "extra_pos_embeddings": 1,
    "force_bos_token_to_be_generated": False,
    "normalize_before": True,
    "normalize_embedding": False,
    "static_position_embeddings": True,
}
"""Of which transformers 5 knows nothing."""
_PEGASUS: Final[Mapping[str, Any]] = {
    **_LEGACY,
    "activation_dropout": 0.1,
    "activation_function": "relu",
    "architectures": ["PegasusForConditionalGeneration"],
    "attention_dropout": 0.1,
    "bos_token_id": 0,
    "d_model": 1024,
    "decoder_attention_heads": 16,
    "decoder_ffn_dim": 4096,
    "decoder_layerdrop": 0.0,
    "decoder_layers": 16,
    "decoder_start_token_id": 0,
    "dropout": 0.1,
    "encoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "encoder_layerdrop": 0.0,
    "encoder_layers": 16,
    "eos_token_id": 1,
    "forced_eos_token_id": 1,
    "init_std": 0.02,
    "is_encoder_decoder": True,
    "model_type": "pegasus",
    "num_beams": 8,
    "num_hidden_layers": 16,
    "pad_token_id": 0,
    "scale_embedding": True,
    "vocab_size": 96103,
}
# Task -> length_penalty, max_length, positions.
_TASKS: Final[Mapping[str, tuple[float, int, int]]] = {
    "xsum": (0.6, 64, 512),
    "cnn_dailymail": (0.8, 128, 1024),
    "newsroom": (0.8, 128, 512),
    "multi_news": (0.8, 256, 1024),
    "gigaword": (0.6, 32, 128),
    "wikihow": (0.6, 256, 512),
    "reddit_tifu": (0.6, 128, 512),
    "big_patent": (0.7, 256, 1024),
    "arxiv": (0.8, 256, 1024),
    "pubmed": (0.8, 256, 1024),
    "aeslc": (0.6, 32, 512),
    "billsum": (0.6, 256, 1024),
    "large": (0.8, 256, 1024),
}
_WITHOUT_LEAST: Final = ("xsum", "aeslc", "large")
_THREE_LABELS: Final = {str(index): f"LABEL_{index}" for index in range(3)}


def _settings(task: str) -> dict[str, Any]:
    penalty, longest, positions = _TASKS[task]
    return {
        "length_penalty": penalty,
        "max_length": longest,
        "max_position_embeddings": positions,
    }


def _google(task: str) -> Published:
    least = {} if task in _WITHOUT_LEAST else {"min_length": 32}
    config = {**_PEGASUS, **_settings(task), **least}
    if task == "cnn_dailymail":
        del config["decoder_start_token_id"], config["forced_eos_token_id"]
    if task == "large":
        config |= {
            "id2label": _THREE_LABELS,
            "return_dict": False,
            "task_specific_params": {
                f"summarization_{each}": _settings(each) | ({} if each != "xsum" else _XSUM)
                for each in _TASKS
            },
            "use_cache": False,
        }
    return Published(
        name=f"google/pegasus-{task}",
        source="stored" if task in ("large", "cnn_dailymail") else "converter",
        config=config,
    )


_XSUM: Final = {"length_penalty": 0.8}  # in the copy of google/pegasus-large alone
_BIGBIRD: Final[Mapping[str, Any]] = {
    "activation_function": "gelu_new",
    "architectures": ["BigBirdPegasusForConditionalGeneration"],
    "attention_type": "block_sparse",
    "block_size": 64,
    "bos_token_id": 2,
    "d_model": 1024,
    "decoder_attention_heads": 16,
    "decoder_ffn_dim": 4096,
    "decoder_layers": 16,
    "decoder_start_token_id": 2,
    "encoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "encoder_layers": 16,
    "eos_token_id": 1,
    "gradient_checkpointing": False,
    "is_encoder_decoder": True,
    "length_penalty": 0.8,
    "max_length": 256,
    "max_position_embeddings": 4096,
    "model_type": "bigbird_pegasus",
    "num_beams": 5,
    "num_hidden_layers": 16,
    "num_random_blocks": 3,
    "pad_token_id": 0,
    "scale_embedding": True,
    "use_bias": False,
    "vocab_size": 96103,
}


_PEGASUS_X: Final[Mapping[str, Any]] = {
    **_PEGASUS,
    "architectures": ["PegasusXForConditionalGeneration"],
    "block_size": 512,
    "length_penalty": 0.8,
    "max_length": 16384,
    "max_position_embeddings": 16384,
    "model_type": "pegasus_x",
    "num_global_tokens": 128,
    "stagger_local_blocks": True,
}


def _described(name: str, task: str, **changes: Any) -> Published:
    """Fine-tuned or cut from google/pegasus-{task}."""
    config = {**_PEGASUS, **_settings(task), **changes}
    return Published(name=name, source="described", config=config)


_BERT_IDS: Final = {
    "bos_token_id": 101,
    "decoder_start_token_id": 101,
    "eos_token_id": 102,
    "forced_eos_token_id": 102,
}
_BASE: Final = {
    "d_model": 768,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "num_hidden_layers": 12,
    "encoder_attention_heads": 12,
    "decoder_attention_heads": 12,
    "encoder_ffn_dim": 3072,
    "decoder_ffn_dim": 3072,
}

PUBLISHED: Final[tuple[Published, ...]] = (
    *(_google(task) for task in _TASKS),
    *(
        Published(
            name=f"google/bigbird-pegasus-large-{task}", source="described", config=dict(_BIGBIRD)
        )
        for task in ("arxiv", "pubmed", "bigpatent")
    ),
    *(
        Published(name=name, source="described", config={**_PEGASUS_X, **changes})
        for name, changes in (
            ("google/pegasus-x-base", _BASE),
            ("google/pegasus-x-large", {}),
            ("pszemraj/pegasus-x-large-book-summary", {}),
        )
    ),
    *(
        Published(name=name, source="stored", config={**_PEGASUS_X, **changes})
        for name, changes in (
            ("zphang/pegasus-x-base", _BASE),
            ("UNIST-Eunchan/pegasus-x-booksum-chapter", {}),
            (
                "bunbohue/pegasus-x-base_readme_summarization",
                {**_BASE, "max_length": 1024, "max_position_embeddings": 1024},
            ),
            (
                "satjawat/pegasus-x-thai-sum",
                {**_BASE, "activation_function": "gelu", "num_beams": 6},
            ),
        )
    ),
    _described(
        "sshleifer/distill-pegasus-xsum-16-4",
        "xsum",
        decoder_layers=4,
        max_position_embeddings=1024,
    ),
    _described("sshleifer/distill-pegasus-xsum-16-8", "xsum", decoder_layers=8),
    _described("sshleifer/distill-pegasus-cnn-16-4", "cnn_dailymail", decoder_layers=4),
    _described(
        "sshleifer/student_pegasus_cnn_12_2",
        "cnn_dailymail",
        encoder_layers=12,
        num_hidden_layers=12,
        decoder_layers=2,
    ),
    _described("tuner007/pegasus_paraphrase", "large", max_length=60, max_position_embeddings=60),
    _described("human-centered-summarization/financial-summarization-pegasus", "xsum"),
    _described("nsi319/legal-pegasus", "cnn_dailymail"),
    _described("IDEA-CCNL/Randeng-Pegasus-523M-Summary-Chinese", "large", vocab_size=50000),
    _described(
        "IDEA-CCNL/Randeng-Pegasus-238M-Summary-Chinese",
        "large",
        **_BASE,
        vocab_size=50000,
        max_position_embeddings=512,
    ),
    _described(
        "uer/pegasus-base-chinese-cluecorpussmall", "large", **_BASE, **_BERT_IDS, vocab_size=21128
    ),
)
