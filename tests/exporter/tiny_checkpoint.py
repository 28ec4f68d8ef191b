"""Tiny random checkpoints of all architectures, as transformers and the hub write them."""

import json
import os
import random
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import torch

__all__ = [
    "ARCHITECTURES",
    "ID_OFFSET",
    "WeightsFormat",
    "tiny_sentences",
    "tiny_spiece",
    "tiny_vocab_size",
    "write_tiny_checkpoint",
]

WeightsFormat = Literal["safetensors", "safetensors-sharded", "bin", "bin-sharded", "bin-legacy"]
ARCHITECTURES = (
    "PegasusForConditionalGeneration",
    "PegasusModel",
    "PegasusForCausalLM",
    "BigBirdPegasusForConditionalGeneration",
    "BigBirdPegasusModel",
    "BigBirdPegasusForSequenceClassification",
    "BigBirdPegasusForQuestionAnswering",
    "BigBirdPegasusForCausalLM",
    "PegasusXForConditionalGeneration",
    "PegasusXModel",
)
UNK = 105  # in both vocabularies
ID_OFFSET = 103  # model id = sentencepiece id + 103 for sentencepiece ids above 1
EOS_BIAS = 0.0
SPECIAL_IDS = slice(2, 106)  # <mask_1>, <mask_2>, <unk_2> ... <unk_102>, <unk>

_SUBJECTS = "the old miller|a young nurse|our mayor|the football club|a local bank|her brother"
_VERBS = "sold|found|repaired|described|lost|visited|opened|counted"
_OBJECTS = "a red boat|the stone bridge|two letters|the harbour|an empty school|green apples"
_ENDINGS = "in March|near the river|for 25 pounds|after the storm|with great care|on Monday"


@lru_cache(maxsize=1)
def tiny_sentences() -> tuple[str, ...]:
    """400 different-enough English sentences: training text and inputs for tests."""
    pick = random.Random(20).choice
    parts = [text.split("|") for text in (_SUBJECTS, _VERBS, _OBJECTS, _ENDINGS)]
    return tuple(
        " ".join(pick(part) for part in parts).capitalize() + pick([".", ".", "!", ", they said."])
        for _ in range(400)
    )


@lru_cache(maxsize=2)
def tiny_spiece(*, bigbird: bool = False) -> bytes:
    """A sentencepiece model with the special ids of the published vocabulary."""
    import sentencepiece

    specials = ["<s>", *(f"<unk_{number}>" for number in range(3, UNK))] if bigbird else []
    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(tiny_sentences()),
        model_writer=model,
        vocab_size=150 + len(specials),
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=UNK if bigbird else 2,
        bos_id=-1,
        user_defined_symbols=[*specials, "<n>"],
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def tiny_vocab_size() -> int:
    """Rows in the embedding: the sentencepiece model and the ids that come before it."""
    import sentencepiece

    return ID_OFFSET + int(
        sentencepiece.SentencePieceProcessor(model_proto=tiny_spiece()).get_piece_size()
    )


def write_tiny_checkpoint(
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    architecture: str = "PegasusForConditionalGeneration",
    weights: WeightsFormat = "safetensors",
    sharpness: float = 4.0,
    dtype: torch.dtype = torch.float32,
    generation: dict[str, Any] | None = None,
    **config_overrides: Any,
) -> Path:
    """Write a random checkpoint with its tokenizer to folder, and return the folder.

    The same arguments give the same weights, whatever the format. sharpness is the standard
    deviation of the logits: at 4 the best two beams are far apart. generation replaces keys of
    generation_config.json; config_overrides are fields of transformers' config.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = _random_model(architecture, seed, sharpness, config_overrides).to(dtype)
    if generation is not None and hasattr(model, "generation_config"):
        model.generation_config.update(**generation)
    sharded = {"max_shard_size": "20KB"} if weights.endswith("sharded") else {}
    model.save_pretrained(folder, **sharded)
    if weights.startswith("bin"):
        _replace_safetensors_by_bin(folder, model, weights)
    _write_tokenizer(folder, bigbird=architecture.startswith("BigBird"))
    return folder


def _random_model(
    architecture: str, seed: int, sharpness: float, config_overrides: dict[str, Any]
) -> Any:
    import transformers

    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture is {architecture}, expected one of {ARCHITECTURES}")
    library: Any = transformers  # its annotations are incomplete
    library.utils.logging.disable_progress_bar()  # tests look at what is printed
    fields = _config_fields()
    if architecture.startswith("BigBird"):
        config = library.BigBirdPegasusConfig(**(fields | BIGBIRD_FIELDS | config_overrides))
    elif architecture.startswith("PegasusX"):
        config = library.PegasusXConfig(**(fields | PEGASUS_X_FIELDS | config_overrides))
    else:
        config = library.PegasusConfig(**(fields | config_overrides))
    model = getattr(library, architecture)(config)
    _randomize(model, seed, sharpness)
    if hasattr(model, "generation_config"):
        model.generation_config = library.GenerationConfig(
            decoder_start_token_id=config.decoder_start_token_id,
            pad_token_id=config.pad_token_id,
            eos_token_id=config.eos_token_id,
            bos_token_id=2 if config.model_type == "bigbird_pegasus" else 0,
            forced_eos_token_id=1,
            num_beams=4,
            max_length=24,
            min_length=5,
            length_penalty=0.6,
        )
    return model.eval()


BIGBIRD_FIELDS: dict[str, Any] = {
    "max_position_embeddings": 96,
    "activation_function": "gelu_new",
    "attention_type": "block_sparse",
    "block_size": 4,
    "num_random_blocks": 2,
    "use_bias": False,
}

PEGASUS_X_FIELDS: dict[str, Any] = {
    "block_size": 8,
    "num_global_tokens": 3,
    "stagger_local_blocks": True,
}


def _config_fields() -> dict[str, Any]:
    return {
        "vocab_size": tiny_vocab_size(),
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "max_position_embeddings": 96,
        "activation_function": "relu",
        "scale_embedding": True,
    }


def _randomize(model: Any, seed: int, sharpness: float) -> None:
    """Fill every weight so that each one matters: the biases, the norms and the logits bias too."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name.removeprefix("model."): tensor
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        if "embed_positions" not in name or model.config.model_type == "bigbird_pegasus"
    }
    with torch.no_grad():
        for name, tensor in sorted(tensors.items()):
            noise = torch.randn(tensor.shape, generator=generator)
            if "norm" in name and name.endswith("weight"):
                is_last = name.startswith(("decoder.layer_norm", "decoder.layernorm_embedding"))
                scale = sharpness if is_last else 1.0
                tensor.copy_(scale * (1 + 0.2 * noise))
            elif name.endswith("bias"):
                tensor.copy_(0.1 * noise)
            else:
                tensor.copy_(_gain(name) * noise / tensor.shape[-1] ** 0.5)
        for name, tensor in tensors.items():
            if "shared" in name or "embed_tokens" in name:
                tensor[0] = 0.0  # as the converters of the original checkpoints do
                tensor[SPECIAL_IDS] *= 0.1  # texts are made of ordinary pieces
            if name.endswith("self_attn.v_proj.weight") and name.startswith("decoder"):
                # Without it a tied lm_head repeats the last token for ever.
                tensors[name.replace("v_proj", "out_proj")].sub_(2 * tensor.T)
            if name == "final_logits_bias":
                tensor[0, 1] = EOS_BIAS  # some summaries end before max_length


def _gain(name: str) -> float:
    """Standard deviation of a layer's output for inputs of unit variance."""
    gains = {"q_proj": 3.0, "k_proj": 3.0, "out_proj": 2.0, "fc2": 2.0, "fc1": 1.5, "v_proj": 1.5}
    gains |= {"query": 3.0, "key": 3.0, "value": 1.5, "attn.output": 2.0}  # BigBird's encoder
    gains |= {"embed_positions": 3.0}
    return next((gain for part, gain in gains.items() if part in name), 1.0)


def _replace_safetensors_by_bin(folder: Path, model: Any, weights: str) -> None:
    """Save as transformers 4 did: every tied copy under its own name, no positions."""
    for path in folder.glob("model*.safetensors*"):
        path.unlink()
    state = {
        name: tensor for name, tensor in model.state_dict().items() if "embed_positions" not in name
    }
    if weights != "bin-sharded":
        zipped = weights == "bin"
        path = folder / "pytorch_model.bin"
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        return
    halves = [name for name in state if "decoder" in name], [n for n in state if "decoder" not in n]
    weight_map: dict[str, str] = {}
    for number, names in enumerate(halves, start=1):
        file = f"pytorch_model-{number:05d}-of-00002.bin"
        torch.save({name: state[name].clone() for name in names}, folder / file)
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")


def _write_tokenizer(folder: Path, *, bigbird: bool) -> None:
    (folder / "spiece.model").write_bytes(tiny_spiece(bigbird=bigbird))
    settings = {
        "tokenizer_class": "PegasusTokenizer",
        "offset": 0 if bigbird else ID_OFFSET,
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask_2>",
        "mask_token_sent": "<mask_1>",
    }
    tokens = {key: value for key, value in settings.items() if key.endswith("_token")}
    for name, content in (("tokenizer_config", settings), ("special_tokens_map", tokens)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
