"""LoRA merged onto its base, in float32 and in the order in which peft computes it."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

import torch

from pegasus_engines.network import TOKEN_TABLES
from pegasus_export.checkpoint.adapter import Adapter
from pegasus_export.checkpoint.naming import count_names
from pegasus_export.checkpoint.tensor_names import canonical_name
from pegasus_export.errors import CheckpointError, UnsupportedError

__all__ = ["merge_lora"]

State: TypeAlias = Mapping[str, torch.Tensor]

_SHARED: Final = TOKEN_TABLES[0]
_PREFIX: Final = "base_model.model."
_FACTORS: Final = ("lora_A.weight", "lora_B.weight")
_EMBEDDING_FACTORS: Final = ("lora_embedding_A", "lora_embedding_B")
# Parts of an adapter's tensor behind the name of its module; peft before 0.3 left the adapter's
# own name, "default", between them.
_PART: Final = re.compile(
    r"(?P<module>.+?)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B"
    r"|lora_magnitude_vector|token_adapter\.trainable_tokens_delta)"
    r"(?:\.default)?(?P<last>\.weight|\.bias)?"
)
_WRAPPING: Final = re.compile(r"\.(?:base_layer|modules_to_save(?:\.default)?)(?=\.)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Merge:
    """A merge under way: `tensors` are the base's at first, by canonical name."""

    adapter: Adapter
    tied: bool
    tensors: dict[str, torch.Tensor]


def merge_lora(found: State, adapter: Adapter, tensors: State, *, tied: bool) -> State:
    """The base's tensors by canonical name, with what the adapter adds and replaces.

    tensors: of the adapter's file. Each module gets what it has when the adapter runs beside it,
    also where the base ties it to others, which then are no longer tied.
    Raises: CheckpointError if the two do not belong together, UnsupportedError.
    """
    changes, replaced = _sort_tensors(tensors)
    merge = _Merge(adapter=adapter, tied=tied, tensors=dict(found))
    changed = [*replaced, *(f"{module}.weight" for module in changes)]
    if any(name in TOKEN_TABLES for name in changed):
        _part_tables(merge)
    missing = [name for name in changed if name not in merge.tensors]
    if missing:
        raise CheckpointError(
            f"{adapter.folder} adapts what its base has not: {count_names('missing', missing)}: "
            "give the base that it was trained on"
        )
    for name, tensor in replaced.items():
        _replace(merge, name, tensor)
    for module, parts in changes.items():
        rows = parts.get("token_adapter.trainable_tokens_delta")
        if rows is None:
            _add_product(merge, module, parts)
        elif len(parts) > 1:
            _refuse(adapter, f"LoRA and trained tokens on {module}")
        else:
            _replace_rows(merge, module, rows)
    return merge.tensors


def _sort_tensors(tensors: State) -> tuple[dict[str, State], dict[str, torch.Tensor]]:
    """What changes modules (parts by module, then by name), and what stands for a tensor."""
    changes: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    replaced: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        plain = name.removeprefix(_PREFIX)
        if match := _PART.fullmatch(plain):
            module = canonical_name(f"{match['module']}.weight").removesuffix(".weight")
            changes[module][match["part"] + (match["last"] or "")] = tensor
        elif ".original_module." not in plain:
            replaced[canonical_name(_WRAPPING.sub("", plain))] = tensor
    return dict(changes), replaced


def _part_tables(merge: _Merge) -> None:
    """Give every part of the network its token table by its own name."""
    tables = TOKEN_TABLES if merge.tied else TOKEN_TABLES[:-1]
    present = [merge.tensors[name] for name in tables if name in merge.tensors]
    for name in tables if present else ():
        merge.tensors.setdefault(name, present[0])


def _replace(merge: _Merge, name: str, tensor: torch.Tensor) -> None:
    base = merge.tensors[name]
    if tensor.shape != base.shape:
        raise CheckpointError(
            f"{merge.adapter.folder} makes {name} {list(tensor.shape)}, its base has "
            f"{list(base.shape)}: give the base that it was trained on, with as many tokens"
        )
    merge.tensors[name] = tensor


def _replace_rows(merge: _Merge, module: str, rows: torch.Tensor) -> None:
    """Trained tokens: those of the shared table are tied wherever the table is."""
    name = f"{module}.weight"
    base = merge.tensors[name]
    named = merge.adapter.token_ids.items()
    ids = next((x for key, x in named if module == key or module.endswith(f".{key}")), ())
    fits = len(ids) == len(rows) and rows.shape[1:] == base.shape[1:]
    if not fits or max(ids, default=0) >= len(base):
        raise CheckpointError(
            f"{merge.adapter.folder} replaces {len(ids)} rows of {name} by {list(rows.shape)}, the "
            f"base has {list(base.shape)}: give the base that it was trained on"
        )
    copies = TOKEN_TABLES if merge.tied and name == _SHARED else (name,)
    new = base.float().index_copy(0, torch.tensor(ids), rows.float())
    merge.tensors.update(dict.fromkeys(copies, new))


def _add_product(merge: _Merge, module: str, change: State) -> None:
    """W + s B A; with DoRA its rows then get the lengths that were trained."""
    parts = {name: tensor.float() for name, tensor in change.items()}
    name, bias = f"{module}.weight", parts.pop("lora_B.bias", None)
    lengths = parts.pop("lora_magnitude_vector", parts.pop("lora_magnitude_vector.weight", None))
    embeds = "lora_embedding_A" in parts
    adapter, base = merge.adapter, merge.tensors[name].float()
    if embeds and merge.tied and name == _SHARED:  # peft merges it into all, and runs none of it
        _refuse(adapter, f"LoRA on {name}, which no part of the network reads by that name")
    if lengths is not None and embeds:
        _refuse(adapter, f"DoRA on {name}, an embedding")
    inner, outer = _take_factors(merge, module, parts, embeds=embeds)  # [R, in], [out, R]
    product = (outer @ inner).T if embeds else outer @ inner
    delta = product * adapter.scaling(module)
    merge.tensors[name] = base + delta if lengths is None else _scale_rows(base + delta, lengths)
    if bias is not None:
        _add_bias(merge, module, bias)


def _take_factors(
    merge: _Merge, module: str, parts: dict[str, torch.Tensor], *, embeds: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two matrices, if their shapes and their rank are the base's and the settings'."""
    names = _EMBEDDING_FACTORS if embeds else _FACTORS
    inner, outer = (parts.pop(name, torch.empty(0)) for name in names)
    base, rank = merge.tensors[f"{module}.weight"], merge.adapter.rank_of(module)
    expected = ((rank, base.shape[-1]), (base.shape[0], rank))
    if embeds:
        expected = ((rank, base.shape[0]), (base.shape[-1], rank))
    if parts or (tuple(inner.shape), tuple(outer.shape)) != expected:
        raise CheckpointError(
            f"{merge.adapter.folder} adapts {module} by {list(outer.shape)} times "
            f"{list(inner.shape)} of rank {rank}, the base has {list(base.shape)}: give the base "
            "that it was trained on"
        )
    return inner, outer


def _scale_rows(weight: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    now: torch.Tensor = torch.linalg.norm(weight, dim=1)
    return (lengths / now).view(-1, 1) * weight


def _add_bias(merge: _Merge, module: str, bias: torch.Tensor) -> None:
    name = f"{module}.bias"
    if name not in merge.tensors:
        raise CheckpointError(
            f"{merge.adapter.folder} adds to {name}, which its base has not: peft cannot merge it "
            "either"
        )
    merge.tensors[name] = merge.tensors[name].float() + bias * merge.adapter.scaling(module)


def _refuse(adapter: Adapter, what: str) -> NoReturn:
    raise UnsupportedError(
        f"{adapter.folder} has {what}, which is not merged here: merge it with peft's "
        "merge_and_unload, save_pretrained, and export that folder"
    )
