"""Test vectors: a few texts, their token ids, and the tokens that the bundle goes on with.

Greedy, with no option at all, so that a client's first loop can be held against them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeAlias

import numpy as np

from pegasus_engines.ort import open_graph
from pegasus_export.measure.documents import DEFAULT_DOCUMENTS
from pegasus_export.verify.onnx_engine import OnnxEngine
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["TestVectors", "Vector", "make_vectors"]

_MOST_TOKENS = 24  # enough to go wrong in
_SHORT = "Café “Adler” pays 1,250 € more.\nThe owner's naïve plan (half price) costs 3.5%."
_TEXTS = (*(document.text for document in DEFAULT_DOCUMENTS), _SHORT)
_MERGED = "decoder_model_merged"
_Continue: TypeAlias = Callable[[Sequence[int], int], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One text. token_ids: as the encoder, or a prompt, takes them."""

    text: str
    token_ids: Sequence[int]
    tokens: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Decoding graph -> what follows, EOS too if it is reached; no start token."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """The same decoded, without special tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestVectors:
    """Of one bundle."""

    max_new_tokens: int
    eos_token_ids: Sequence[int]
    decoder_start_token_id: int | None
    vectors: Sequence[Vector]

    def as_json(self) -> dict[str, object]:
        """For test_vectors.json."""
        return asdict(self)


def make_vectors(bundle: Bundle) -> TestVectors | None:
    """None for a bundle whose tokenizer is not known. Raises: EngineError."""
    manifest = bundle.manifest
    spec, limits = manifest.tokenizer, manifest.limits
    if spec is None:
        return None
    tokenizer = Tokenizer.load(bundle.path(spec.file), spec)
    most = min(_MOST_TOKENS, limits.max_target_tokens - 1)
    vectors = []
    goes_on = _continuations(bundle)
    for text in _TEXTS:
        ids = tokenizer.encode(text, max_tokens=limits.max_source_tokens, truncate=True).token_ids
        if manifest.task == "text-generation":  # a prompt does not end
            ids = _without_end(ids, spec.suffix_ids)[: limits.max_target_tokens // 2]
            most = min(most, limits.max_target_tokens - len(ids))
        tokens = {name: go_on(ids, most) for name, go_on in goes_on.items()}
        texts = {name: tokenizer.decode(found) for name, found in tokens.items()}
        vectors.append(Vector(text=text, token_ids=list(ids), tokens=tokens, texts=texts))
    return TestVectors(
        max_new_tokens=most,
        eos_token_ids=list(manifest.token_ids.eos_token_ids),
        decoder_start_token_id=manifest.token_ids.decoder_start_token_id,
        vectors=vectors,
    )


def _without_end(ids: tuple[int, ...], end: tuple[int, ...]) -> tuple[int, ...]:
    return ids[: -len(end)] if end and ids[-len(end) :] == end else ids


def _continuations(bundle: Bundle) -> dict[str, _Continue]:
    """Of each graph that decodes by itself: its name -> (source, number of tokens) -> tokens."""
    found: dict[str, _Continue] = {}
    for name in bundle.manifest.graphs:
        if name.startswith(_MERGED):
            found[name] = _by_merged(bundle, name.removeprefix(_MERGED))
        elif name == "model" and bundle.manifest.task == "text-generation":
            found[name] = _by_causal(bundle)
        elif name == "generate":
            found[name] = _by_generation(bundle)
    return found


def _by_merged(bundle: Bundle, suffix: str) -> _Continue:
    engine = OnnxEngine(bundle, suffix=suffix)
    ids = bundle.manifest.token_ids

    def go_on(source: Sequence[int], most: int) -> list[int]:
        decoding = engine.start([source], rows_per_document=1, max_length=most + 1)
        tokens: list[int] = []
        token, parents = ids.decoder_start_token_id or 0, None
        while len(tokens) < most:
            scores = decoding.step(np.array([token]), parents, num_candidates=1, full=False)
            token, parents = int(scores.top_ids[0, 0]), np.zeros((1, 1), np.int64)
            tokens.append(token)
            if token in ids.eos_token_ids:
                break
        return tokens

    return go_on


def _by_causal(bundle: Bundle) -> _Continue:
    run, facts = open_graph(bundle, "model"), bundle.manifest.architecture
    past = [
        each
        for each in bundle.manifest.graphs["model"].inputs
        if each.name.startswith("past_key_values.")
    ]

    def go_on(prompt: Sequence[int], most: int) -> list[int]:
        shape = (1, facts.decoder_heads, 0, facts.head_dim)
        arrays = {each.name: np.zeros(shape, each.dtype) for each in past}
        new, tokens = list(prompt), list[int]()
        while len(tokens) < most:
            mask = np.ones((1, len(prompt) + len(tokens)), np.int64)
            returned = run({"input_ids": np.array([new]), "attention_mask": mask, **arrays})
            arrays = {
                name.replace("present.", "past_key_values."): value
                for name, value in returned.items()
                if name.startswith("present.")
            }
            new = [int(np.asarray(returned["logits"])[0, -1].argmax())]
            tokens += new
            if new[0] in bundle.manifest.token_ids.eos_token_ids:
                break
        return tokens

    return go_on


def _by_generation(bundle: Bundle) -> _Continue:
    run = open_graph(bundle, "generate")
    given = {each.name: each.dtype for each in bundle.manifest.graphs["generate"].inputs}
    neutral = {"num_beams": 1, "num_return_sequences": 1, "length_penalty": 1}
    neutral |= {"repetition_penalty": 1}  # min_length, no_repeat_ngram_size, early_stopping: 0

    def go_on(source: Sequence[int], most: int) -> list[int]:
        feeds = {
            name: np.array(neutral.get(name, 0), dtype)
            for name, dtype in given.items()
            if name not in ("input_ids", "attention_mask")
        }
        feeds["max_length"] = np.array(most + 1, given["max_length"])
        ids = np.array([list(source)], np.int64)
        returned = run({"input_ids": ids, "attention_mask": np.ones_like(ids), **feeds})
        length = int(np.asarray(returned["lengths"])[0, 0])
        return [int(token) for token in np.asarray(returned["sequences"])[0, 0, :length]]

    return go_on
