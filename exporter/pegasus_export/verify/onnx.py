"""Target `onnx` through plain sessions, called as Optimum calls them."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pegasus_engines.ort import Graph, open_graph
from pegasus_export.verify.measure import Expected, Measured, measure
from pegasus_export.verify.reference import Reference, Sources
from pegasus_runtime.bundle import Bundle

__all__ = ["verify_causal", "verify_features", "verify_head", "verify_seq2seq"]

_Array = npt.NDArray[np.generic]
_Arrays = dict[str, _Array]
_PREFIX_LENGTH = 2


def verify_seq2seq(bundle: Bundle, reference: Reference) -> list[Measured]:
    """encoder_model, decoder_model on a prefix, decoder_with_past_model token by token after it;
    decoder_model_merged likewise.

    Raises: VerificationError; EngineError if a graph does not load or run.
    """
    precision, rows = bundle.manifest.precision, reference.parents.shape[2]
    pad_token_id = bundle.manifest.token_ids.pad_token_id
    _, mask = reference.short.padded(pad_token_id)
    encode = open_graph(bundle, "encoder_model")
    documents = [reference.short, *([reference.long] if reference.long else [])]
    encoded = [encode(_named(each.padded(pad_token_id)))["last_hidden_state"] for each in documents]
    pairs = [
        (each.of_tokens(states), each.encoded)
        for each, states in zip(documents, encoded, strict=True)
    ]
    measured = [measure("encoder_model", pairs, precision)]
    states = encoded[0]
    first: _Arrays = {
        "encoder_attention_mask": np.repeat(mask, rows, axis=0),
        "encoder_hidden_states": np.repeat(states, rows, axis=0),
        "input_ids": reference.histories[:, :_PREFIX_LENGTH],
    }
    run = open_graph(bundle, "decoder_model")
    got = run(first)
    measured.append(measure("decoder_model", _pairs(got, reference, 0), precision))
    run = open_graph(bundle, "decoder_with_past_model")
    pairs = _later_pairs(run, first, got, reference)
    measured.append(measure("decoder_with_past_model", pairs, precision))
    return [*measured, _measure_merged(bundle, first, reference)]


def _measure_merged(bundle: Bundle, first: _Arrays, reference: Reference) -> Measured:
    """decoder_model_merged in both of its ways; inputs of the other one are there, and empty."""
    name, facts = "decoder_model_merged", bundle.manifest.architecture
    run = open_graph(bundle, name)
    empty: _Arrays = {
        each.name: np.zeros(
            (len(reference.histories), facts.decoder_heads, 0, facts.head_dim), each.dtype
        )
        for each in bundle.manifest.graphs[name].inputs
        if each.name.startswith("past_key_values.")
    }
    got = run({**first, **empty, "use_cache_branch": np.array([False])})
    pairs = _pairs(got, reference, 0)
    states = first["encoder_hidden_states"][:, :1]
    beside: _Arrays = {"encoder_hidden_states": states, "use_cache_branch": np.array([True])}
    later = _later_pairs(run, first, got, reference, beside)
    return measure(name, [*pairs, *later], bundle.manifest.precision)


def _later_pairs(
    run: Graph,
    first: _Arrays,
    got: _Arrays,
    reference: Reference,
    beside: Mapping[str, _Array] = MappingProxyType({}),
) -> list[tuple[_Array, Expected]]:
    """Token by token after the first call, which returned `got`; beside: inputs of every call."""
    source = {"encoder_attention_mask": first["encoder_attention_mask"]}
    pairs, kept = [], dict(got)
    for step in range(_PREFIX_LENGTH, reference.histories.shape[1]):
        token = {"input_ids": reference.histories[:, step : step + 1]}
        returned = run({**source, **token, **beside, **_past(kept)})
        kept |= {name: value for name, value in returned.items() if ".encoder." not in name}
        pairs += _pairs(kept, reference, step)
    return pairs


def verify_causal(bundle: Bundle, reference: Reference) -> list[Measured]:
    """model, on a prefix with an empty past and token by token after it.

    Raises: VerificationError; EngineError if a graph does not load or run.
    """
    facts, histories = bundle.manifest.architecture, reference.histories
    dtype = np.dtype(bundle.manifest.graphs["model"].outputs[-1].dtype)
    empty = np.zeros((len(histories), facts.decoder_heads, 0, facts.head_dim), dtype)
    names = [
        f"{layer}.{kind}" for layer in range(facts.decoder_layers) for kind in ("key", "value")
    ]
    got: _Arrays = {f"present.{name}": empty for name in names}
    pairs, start, run = [], 0, open_graph(bundle, "model")
    for end in range(min(_PREFIX_LENGTH, histories.shape[1]), histories.shape[1] + 1):
        tokens = {
            "input_ids": histories[:, start:end],
            "attention_mask": np.ones_like(histories[:, :end]),
        }
        got = run({**tokens, **_past(got)})
        pairs += _pairs(got, reference, start)
        start = end
    return [measure("model", pairs, bundle.manifest.precision)]


def verify_features(bundle: Bundle, reference: Reference) -> list[Measured]:
    """model: last hidden states of decoder and encoder.

    Raises: VerificationError; EngineError if a graph does not load or run.
    """
    pad_token_id = bundle.manifest.token_ids.pad_token_id
    rows, run = reference.parents.shape[2], open_graph(bundle, "model")
    feeds = _named(reference.short.padded(pad_token_id))
    repeated: _Arrays = {name: np.repeat(array, rows, axis=0) for name, array in feeds.items()}
    got = run(repeated | {"decoder_input_ids": reference.histories})
    pairs = [(got["last_hidden_state"], reference.last_hidden)]
    encoded = got["encoder_last_hidden_state"]
    for row in range(rows):
        pairs.append((reference.short.of_tokens(encoded[row::rows]), reference.short.encoded))
    if reference.long is not None:
        feeds = _named(reference.long.padded(pad_token_id))
        got = run(feeds | {"decoder_input_ids": reference.histories[:1]})
        encoded = reference.long.of_tokens(got["encoder_last_hidden_state"])
        pairs.append((encoded, reference.long.encoded))
    return [measure("model", pairs, bundle.manifest.precision)]


def verify_head(bundle: Bundle, reference: Reference) -> list[Measured]:
    """model: the logits of a classifier, or of where answers start and end.

    Raises: VerificationError; EngineError if the graph does not load or run.
    """
    pad_token_id = bundle.manifest.token_ids.pad_token_id
    run = open_graph(bundle, "model")
    names = [output.name for output in bundle.manifest.graphs["model"].outputs]
    pairs = []
    for sources in (reference.short, reference.long):
        if sources is not None:
            got = run(_named(sources.padded(pad_token_id)))
            outputs = [_head_rows(bundle, sources, got[name]) for name in names]
            pairs += list(zip(outputs, sources.head_outputs, strict=True))
    return [measure("model", pairs, bundle.manifest.precision)]


def _head_rows(bundle: Bundle, sources: Sources, output: _Array) -> _Array:
    """[B, labels] of a classifier as it is; [B, S] of question answering -> [P, 1]."""
    if bundle.manifest.task == "text-classification":
        return output
    return sources.of_tokens(output[..., None])


def _named(padded: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> _Arrays:
    return dict(zip(("input_ids", "attention_mask"), padded, strict=True))


def _pairs(got: _Arrays, reference: Reference, start: int) -> list[tuple[_Array, Expected]]:
    """The logits that a call returned, and those expected of the positions from `start` on."""
    logits = got["logits"]
    return [(logits, reference.logits.at(np.s_[:, start : start + logits.shape[1]]))]


def _past(got: _Arrays) -> _Arrays:
    """What a call returned as present, named as the next call's past."""
    return {
        name.replace("present.", "past_key_values."): value
        for name, value in got.items()
        if name.startswith("present.")
    }
