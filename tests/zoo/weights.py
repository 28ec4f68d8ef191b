"""How weights can be written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.trait import BIGBIRD, PEGASUS_X, Trait, edit_weights, in_config

__all__ = ["WEIGHTS"]

_HEAD, _SHARED = "lm_head.weight", "model.shared.weight"


def _prefixed(prefix: str) -> Any:
    return lambda tensors: {f"{prefix}{name}": value for name, value in tensors.items()}


def _renamed(old: str, new: str) -> Any:
    return lambda tensors: {name.replace(old, new): value for name, value in tensors.items()}


def _without(part: str) -> Any:
    return lambda tensors: {name: value for name, value in tensors.items() if part not in name}


def _sinusoids(tensors: dict[str, Any]) -> dict[str, Any]:
    """Stored, as transformers 4 did."""
    import torch

    position = torch.arange(96, dtype=torch.float64)[:, None]
    angle = position / 10000 ** (2 * torch.arange(16, dtype=torch.float64) / 32)
    table = torch.cat([angle.sin(), angle.cos()], dim=1).float()
    names = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")
    return tensors | {name: table.clone() for name in names}


def _all_ties(tensors: dict[str, Any]) -> dict[str, Any]:
    names = (_HEAD, "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
    return tensors | {name: tensors[_SHARED].clone() for name in names}


def _beside_network(tensors: dict[str, Any]) -> dict[str, Any]:
    import torch

    return tensors | {
        "classifier.weight": torch.ones(3, 32),
        "logits_scale": torch.full((1,), 9.0),
        "aux_head.0.weight": torch.ones(2, 2),
    }


def _beside(**files: bytes) -> Any:
    return lambda folder: [
        (folder / name.replace("__", ".")).write_bytes(content) for name, content in files.items()
    ]


def _quantized(method: str) -> Any:
    return in_config(quantization_config={"quant_method": method, "load_in_4bit": True})


def _pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    )


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _odd_index(folder: Path) -> None:
    """A shard that the index names is not there."""
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    (folder / sorted(set(index["weight_map"].values()))[0]).unlink()


_ADAPTED = tuple(
    f"model.{stack}.layers.{layer}.self_attn.{name}_proj"
    for stack in ("encoder", "decoder")
    for layer in (0, 1)
    for name in ("q", "v")
)
_RANK, _ALPHA = 3, 12


def _low_rank() -> dict[str, Any]:
    """A and B of every adapted layer, as PEFT names them less their prefix."""
    import torch

    generator = torch.Generator().manual_seed(5)
    return {
        f"{layer}.lora_{side}.weight": torch.randn(shape, generator=generator) / 12
        for layer in _ADAPTED
        for side, shape in (("A", (_RANK, 32)), ("B", (32, _RANK)))
    }


def _adapter_beside(folder: Path) -> None:
    """The adapter lies in adapter/ of the checkpoint's folder."""
    import safetensors.torch

    adapter = folder.parent / "adapter"
    adapter.mkdir()
    tensors = {f"base_model.model.{name}": value for name, value in _low_rank().items()}
    safetensors.torch.save_file(tensors, adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text(
        json.dumps(
            {
                "base_model_name_or_path": str(folder),
                "lora_alpha": _ALPHA,
                "peft_type": "LORA",
                "r": _RANK,
                "target_modules": ["q_proj", "v_proj"],
                "task_type": "SEQ_2_SEQ_LM",
            }
        )
    )


def _merge_adapter(folder: Path) -> None:
    def merge(tensors: dict[str, Any]) -> dict[str, Any]:
        low_rank = _low_rank()
        for layer in _ADAPTED:
            left, right = (low_rank[f"{layer}.lora_{side}.weight"] for side in "BA")
            tensors[f"{layer}.weight"] += left @ right * (_ALPHA / _RANK)
        return tensors

    edit_weights(merge)(folder)


WEIGHTS: tuple[Trait, ...] = (
    *(
        Trait(name=f"weights as {kind}", written={"weights": kind})
        for kind in ("safetensors-sharded", "bin", "bin-sharded", "bin-legacy")
    ),
    Trait(name="half weights", written={"dtype": "float16"}),
    Trait(name="bfloat16 weights", written={"dtype": "bfloat16"}),
    Trait(name="double weights", written={"dtype": "float64"}),
    Trait(
        name="wrapped in state_dict",
        change=edit_weights(lambda x: {"state_dict": x, "epoch": 3}, file="pytorch_model.bin"),
        has_twin=True,
    ),
    Trait(
        name="saved by DDP",
        change=edit_weights(_prefixed("module."), file="pytorch_model.bin"),
        has_twin=True,
    ),
    Trait(
        name="saved by torch.compile", change=edit_weights(_prefixed("_orig_mod.")), has_twin=True
    ),
    Trait(
        name="variant fp16",
        written={"dtype": "float16"},
        change=lambda folder: (folder / "model.safetensors").rename(
            folder / "model.fp16.safetensors"
        ),
        has_twin=True,
    ),
    Trait(
        name="names without a prefix",
        change=edit_weights(
            lambda x: {name.removeprefix("model."): value for name, value in x.items()}
        ),
        has_twin=True,
    ),
    Trait(name="every tied copy", change=edit_weights(_all_ties)),
    Trait(name="the head alone", change=edit_weights(_renamed(_SHARED, _HEAD)), has_twin=True),
    Trait(
        name="the encoder's embedding alone",
        change=edit_weights(_renamed("model.shared", "model.encoder.embed_tokens")),
        has_twin=True,
    ),
    Trait(name="no final_logits_bias", change=edit_weights(_without("final_logits_bias"))),
    Trait(name="heads and scales beside the network", change=edit_weights(_beside_network)),
    Trait(
        name="a bin with what is no tensor",
        change=edit_weights(
            lambda x: x | {"x": None, "_metadata": {}, "epoch": 3}, file="pytorch_model.bin"
        ),
    ),
    Trait(
        name="a tensor too many in the encoder",
        change=edit_weights(lambda x: x | {"model.encoder.extra.weight": x[_SHARED][:2]}),
        refused=r"model\.encoder\.extra\.weight",
    ),
    Trait(name="positions stored", change=edit_weights(_sinusoids)),
    Trait(name="a trainer's files beside", change=_beside(optimizer__pt=b"x", rng_state__pth=b"x")),
    Trait(
        name="BigBird in half",
        architecture=BIGBIRD,
        own_tokenizer=False,
        written={"dtype": "float16"},
    ),
    Trait(
        name="PEGASUS-X in bfloat16",
        architecture=PEGASUS_X,
        own_tokenizer=False,
        written={"dtype": "bfloat16"},
    ),
    Trait(
        name="LoRA",
        change=_adapter_beside,
        model="adapter",
        has_twin=True,
        twin=_merge_adapter,
    ),
    *(
        Trait(name=f"quantised by {method}", change=_quantized(method), refused=method)
        for method in ("bitsandbytes", "gptq", "awq")
    ),
    Trait(name="a pointer of Git LFS", change=_pointer, refused="LFS"),
    Trait(name="cut off", change=_cut, refused="incomplete"),
    Trait(
        name="a shard missing",
        written={"weights": "safetensors-sharded"},
        change=_odd_index,
        refused="model-00001",
    ),
    Trait(
        name="a layer missing",
        change=edit_weights(_without("decoder.layers.1.fc1.weight")),
        refused=r"decoder\.layers\.1\.fc1\.weight",
    ),
    Trait(
        name="a layer too many",
        change=in_config(encoder_layers=1),
        refused=r"encoder\.layers\.1",
    ),
)
