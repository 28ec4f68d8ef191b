"""Writes the adapters of this folder with PEFT 0.21, and what PEFT makes of them.

    pip install peft && python tests/exporter/checkpoint/adapters/write_adapters.py

For each base a folder, `base` in it and one folder per adapter: adapter_config.json, its weights as
peft saves them, and right.safetensors with `logits` of the adapter beside the base and the weights
that peft merges (those that it changes), each under its name in the base. Where the base ties what
is adapted peft's merge is not what the adapter does, and only the logits are right.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))
from exporter.tiny_checkpoint import write_tiny_checkpoint  # noqa: E402

SIZES = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": 16,
}
ATTENTION = ["q_proj", "v_proj"]
ADAPTERS: dict[str, dict[str, Any]] = {
    "attention": {"r": 4, "lora_alpha": 10, "target_modules": ATTENTION},
    "patterns": {
        "r": 4,
        "lora_alpha": 12,
        "use_rslora": True,
        "target_modules": "all-linear",
        "rank_pattern": {"fc1": 2, r"decoder\.layers\.1\.self_attn\.q_proj": 3},
        "alpha_pattern": {"^model.encoder.layers.0.fc2": 5, r".*out_proj": 7},
        "bias": "all",
    },
    "lora-only": {"r": 2, "target_modules": ["k_proj", "fc2"], "bias": "lora_only"},
    "lora-bias": {"r": 2, "target_modules": ATTENTION, "lora_bias": True},
    "dora": {"r": 2, "target_modules": ["out_proj", "fc1"], "use_dora": True},
    "one-layer": {
        "r": 2,
        "target_modules": ["fc1"],
        "layers_to_transform": [1],
        "layers_pattern": "layers",
    },
    "norms": {"r": 2, "target_modules": ATTENTION, "modules_to_save": ["final_layer_norm"]},
    "own-head": {"r": 2, "target_modules": ATTENTION, "modules_to_save": ["lm_head"]},
    "own-tables": {
        "r": 2,
        "target_modules": ATTENTION,
        "modules_to_save": ["lm_head", "embed_tokens", "shared"],
    },
    "tokens": {"r": 2, "target_modules": ATTENTION, "trainable_token_indices": [7, 130]},
    "stack-tokens": {
        "r": 2,
        "target_modules": ATTENTION,
        "trainable_token_indices": {"decoder.embed_tokens": [7, 130]},
    },
    "embedding": {"r": 2, "target_modules": ["q_proj", "embed_tokens"]},
    "head": {"r": 2, "target_modules": ["q_proj", "lm_head"]},
    "shared": {"r": 2, "target_modules": ["q_proj", "shared"]},
    "half": {"r": 2, "target_modules": ATTENTION},  # saved in bfloat16
    "pickled": {"r": 2, "target_modules": ATTENTION},  # saved as adapter_model.bin
}
BIGBIRD = {
    "attention": {"r": 4, "target_modules": ["query", "value", *ATTENTION]},
    "biased": {"r": 2, "target_modules": ["fc1"], "bias": "all"},
}
TABLES = ("embedding", "head", "shared", "own-tables", "stack-tokens")
IDS = torch.tensor([[120, 131, 150, 160, 171, 1]])
DECODER_IDS = torch.tensor([[0, 110, 120, 7]])


def main() -> None:
    write_base("tied", ADAPTERS, tie_word_embeddings=True)
    write_base("untied", {"tables": ADAPTERS["embedding"]}, tie_word_embeddings=False)
    write_base("bigbird", BIGBIRD, architecture="BigBirdPegasusForConditionalGeneration")


def write_base(name: str, adapters: dict[str, dict[str, Any]], **options: Any) -> None:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    write_tiny_checkpoint(folder / "base", **SIZES, **options)
    for file in ("spiece.model", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / "base" / file).unlink()
    for number, (adapter, settings) in enumerate(adapters.items()):
        write_adapter(folder, adapter, settings, seed=number)


def write_adapter(folder: Path, name: str, settings: dict[str, Any], *, seed: int) -> None:
    torch.manual_seed(seed)
    model = get_peft_model(load_base(folder), LoraConfig(**settings))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    if name == "half":
        model.to(torch.bfloat16)
    model.save_pretrained(folder / name, safe_serialization=name != "pickled")
    for extra in ("README.md",):
        (folder / name / extra).unlink()
    config = folder / name / "adapter_config.json"
    fields = json.loads(config.read_text()) | {"base_model_name_or_path": "base"}
    config.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")
    loaded = PeftModel.from_pretrained(load_base(folder), folder / name).eval()
    with torch.no_grad():
        right = {"logits": loaded(input_ids=IDS, decoder_input_ids=DECODER_IDS).logits}
        merged = loaded.merge_and_unload().state_dict()
    base = load_base(folder).state_dict()
    if name not in TABLES or folder.name == "untied":
        right |= {key: x.clone() for key, x in merged.items() if not torch.equal(x, base[key])}
    save_file(right, folder / name / "right.safetensors")
    size = sum(path.stat().st_size for path in (folder / name).iterdir())
    print(folder.name, name, sorted(load_file(folder / name / "right.safetensors"))[:3], size)


def load_base(folder: Path) -> Any:
    return AutoModelForSeq2SeqLM.from_pretrained(folder / "base", dtype=torch.float32)


if __name__ == "__main__":
    main()
