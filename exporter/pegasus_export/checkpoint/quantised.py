"""Weights that somebody has quantised: recognised and refused, by the method's name."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pegasus_export.errors import UnsupportedError

__all__ = ["check_is_not_quantised", "find_quantised_tensors", "refuse_quantised"]

# What stands beside a quantised matrix, and who puts it there.
_COMPANIONS: Final = (
    (".quant_state.bitsandbytes__", "bitsandbytes (4 bits)"),
    (".absmax", "bitsandbytes (4 bits)"),
    (".quant_map", "bitsandbytes (4 bits)"),
    (".SCB", "bitsandbytes (8 bits)"),
    (".weight_format", "bitsandbytes (8 bits)"),
    (".g_idx", "GPTQ"),
    (".qweight", "GPTQ or AWQ"),
    (".qzeros", "GPTQ or AWQ"),
    (".weight_packed", "compressed-tensors"),
    (".weight_scale_inv", "float8 by blocks"),
    (".weight_scale", "float8 or compressed-tensors"),
    (".weight_zero_point", "compressed-tensors"),
    (".input_scale", "float8"),
    (".codebooks", "AQLM"),
    ("._scale", "quanto"),
    ("._data", "quanto"),
    (".W_q", "HQQ"),
    ("._packed_params", "torch.ao.quantization"),
    (".zero_point", "torch.ao.quantization"),
)


def check_is_not_quantised(fields: Mapping[str, Any], source: object) -> None:
    """Raises: UnsupportedError, where a config.json says how its weights are quantised."""
    for key in ("quantization_config", "compression_config"):
        settings = fields.get(key)
        if settings:
            refuse_quantised(source, _name_method(settings))


def find_quantised_tensors(names: Iterable[str]) -> str | None:
    """The method that quantised tensors of these names; None if nothing shows that they are."""
    for name in names:
        for part, method in _COMPANIONS:
            if name.endswith(part) or (part.endswith("__") and part in name):
                return f"{method}, see {name}"
    return None


def refuse_quantised(source: object, method: str) -> None:
    """Raises: UnsupportedError."""
    raise UnsupportedError(
        f"{source} has quantised weights ({method}), expected those of float32, float16 or "
        "bfloat16: give the checkpoint that was quantised, or save what transformers' "
        "model.dequantize() makes of this one; --precision int8 or int4 quantises it again"
    )


def _name_method(settings: object) -> str:
    """`bitsandbytes, 4 bits` of a quantization_config."""
    if not isinstance(settings, dict):
        return "by its quantization_config"
    bits = settings.get("bits") or next(
        (number for number in (4, 8) if settings.get(f"load_in_{number}bit")), None
    )
    method = str(settings.get("quant_method") or ("bitsandbytes" if bits else "unknown method"))
    return f"{method}, {bits} bits" if bits else method
