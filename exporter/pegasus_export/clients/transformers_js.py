"""A bundle's folder as transformers.js looks for it.

    onnx/encoder_model.onnx, decoder_model_merged.onnx   each with its NAME.onnx_data
    onnx/…_quantized.onnx                                int8: its dtype "q8", a browser's default
    onnx/…_int8.onnx                                     the same graph for its dtype "int8"
    config.json                                          of a model type that it knows
    tokenizer.json, tokenizer_config.json, generation_config.json

Read from @huggingface/transformers 4.3.2: src/utils/dtypes.js (suffixes), src/utils/model-loader.js
(NAME.onnx_data), src/configs.js and src/models/registry.js (it has no pegasus; of bart it takes the
same fields, and the graphs say the rest), src/models/modeling_utils.js (one beam, whatever is asked
for), src/tokenization_utils.js (spaces are cleaned up unless the file says no).
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pegasus_export.checkpoint.json_object import read_json_object
from pegasus_export.clients.own_weights import write_with_own_weights
from pegasus_runtime.bundle import Bundle, BundleWriter, GraphSpec, JsonValue, Manifest

__all__ = ["SUFFIXES", "arrange_for_transformers_js"]

SUFFIXES: Mapping[str, str] = {"fp32": "", "fp16": "_fp16", "int8": "_quantized"}
"""Precision -> how its files end, before .onnx."""
_DTYPES: Mapping[str, str] = {"fp32": "fp32", "fp16": "fp16", "int8": "q8"}
_ALIAS = "_int8"
_FOLDER = "onnx"
_GRAPHS = ("encoder_model", "decoder_model_merged")


def arrange_for_transformers_js(parts: Sequence[Bundle], staging: BundleWriter) -> Manifest:
    """Bundles of one checkpoint, a precision each -> the files of one bundle, and its manifest.

    The parts stay as they are. The manifest is the first one's; recipes of the others stand under
    the name of their precision. Raises: OSError.
    """
    (staging.path / _FOLDER).mkdir()
    graphs: dict[str, GraphSpec] = {}
    figures: dict[str, JsonValue] = {}
    for part in parts:
        suffix = SUFFIXES[part.manifest.precision]
        for name in _GRAPHS:
            spec = part.manifest.graphs[name]
            file = f"{_FOLDER}/{name}{suffix}.onnx"
            sha256 = write_with_own_weights(part.path(spec.file), staging.path / file)
            staging.record(f"{file}_data", sha256=sha256)
            graphs[f"{name}{suffix}"] = replace(spec, file=file)
            if part.manifest.precision == "int8":
                alias = staging.path / _FOLDER / f"{name}{_ALIAS}.onnx"
                shutil.copyfile(staging.path / file, alias)
        figures |= _renamed(part.manifest, suffix)
    first = parts[0]
    for name in first.manifest.files:
        if not name.endswith((".onnx", ".onnx_data")):
            shutil.copyfile(first.path(name), staging.path / name)
    manifest = first.manifest
    _write_settings(staging.path, manifest, [graph.file for graph in graphs.values()])
    recipe: dict[str, JsonValue] = dict(first.manifest.recipe)
    recipe |= {part.manifest.precision: dict(part.manifest.recipe) for part in parts[1:]}
    return replace(
        manifest,
        graphs=graphs,
        tables={},
        recipe=recipe,
        verification=figures,
    )


def _renamed(manifest: Manifest, suffix: str) -> dict[str, JsonValue]:
    """What was measured, of the graphs that are taken over."""
    left_out = manifest.graphs.keys() - set(_GRAPHS)
    return {
        f"{name}{suffix}" if name in _GRAPHS else name: figures
        for name, figures in manifest.verification.items()
        if name not in left_out
    }


def _write_settings(folder: Path, manifest: Manifest, files: Sequence[str]) -> None:
    facts, tokens = manifest.architecture, manifest.token_ids
    settings: dict[str, Any] = {
        "use_external_data_format": {Path(file).name: 1 for file in files},
    }
    if manifest.precision != "fp32":  # what it would look for first is not there
        settings["dtype"] = _DTYPES[manifest.precision]
    _update(
        folder / "config.json",
        {
            "model_type": "bart",
            "architectures": ["BartForConditionalGeneration"],
            "is_encoder_decoder": True,
            "d_model": facts.d_model,
            "encoder_layers": facts.encoder_layers,
            "encoder_attention_heads": facts.encoder_heads,
            "decoder_layers": facts.decoder_layers,
            "decoder_attention_heads": facts.decoder_heads,
            "transformers.js_config": settings,
        },
    )
    ends = list(tokens.eos_token_ids)
    generation = {
        "num_beams": 1,
        "decoder_start_token_id": tokens.decoder_start_token_id,
        "pad_token_id": tokens.pad_token_id,
        "eos_token_id": ends[0] if len(ends) == 1 else ends,
    }
    _update(folder / "generation_config.json", generation)
    spec, path = manifest.tokenizer, folder / "tokenizer_config.json"
    known = dict(read_json_object(path)) if path.is_file() else {}
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": spec is not None and spec.clean_up_spaces,
    }
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    _update(path, names | known | told | {"model_max_length": _longest(known, manifest)})


def _longest(known: Mapping[str, Any], manifest: Manifest) -> int:
    """What a text is cut to: more than the graphs take would be an error of theirs."""
    most, stated = manifest.limits.max_source_tokens, known.get("model_max_length")
    return int(min(stated, most)) if isinstance(stated, int | float) else most


def _update(path: Path, changes: Mapping[str, Any]) -> None:
    known = dict(read_json_object(path)) if path.is_file() else {}
    text = json.dumps(known | dict(changes), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
