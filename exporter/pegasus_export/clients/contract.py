"""contract.md: all that a client has to know of a bundle, written from the bundle itself."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from pegasus_export.clients.meanings import graph_meaning, tensor_meaning
from pegasus_export.clients.vectors import TestVectors
from pegasus_runtime.bundle import GraphSpec, Manifest, TensorSpec, TokenizerSpec

__all__ = ["expand_layers", "write_contract"]

_LAYER = re.compile(r"(?<=\.)\d+(?=\.)")
_SHOWN = 12  # ids of a text: the others are in test_vectors.json
_MERGED = "decoder_model_merged"
_CACHES = """\
Every call hands out `present.*` tensors; give them to the next one as `past_key_values.*`, under
the rest of their name. Those of the decoder grow by what was read. Those of the encoder are of the
source: the first call makes them, and they are given to every later call as they are. With several
rows for a document, repeat the source's tensors, and where rows change places, move all caches
along their first dimension.
"""
_LOOP = """\
states = encoder_model(input_ids, attention_mask).last_hidden_state
past   = empty tensors [batch, heads, 0, head_dim] for every past_key_values.*
token, tokens = START, []
while len(tokens) < limit:
    out = decoder_model_merged(input_ids=[[token]], encoder_attention_mask=attention_mask,
                               encoder_hidden_states=states, use_cache_branch=[len(tokens) > 0],
                               **past)
    for name in present.*:
        if "encoder" not in name or tokens is empty:
            past[name with past_key_values for present] = out[name]
    token = argmax(out.logits[0, -1])
    tokens.append(token)
    if token is EOS: break
"""
_CAUSAL_LOOP = """\
past = empty tensors [batch, heads, 0, head_dim] for every past_key_values.*
new, count = prompt, 0
while count < limit:
    seen = len(prompt) + count
    out  = model(input_ids=[new], attention_mask=ones[1, seen], **past)
    past = each present.* of out, as past_key_values.*
    new  = [argmax(out.logits[0, -1])]
    count += 1
    if new[0] is EOS: break
"""


def write_contract(manifest: Manifest, vectors: TestVectors | None) -> str:
    """Markdown. Raises: ValueError for a tensor that meanings.py has no words for."""
    facts = manifest.architecture
    lines = [
        "# Contract",
        "",
        f"What runs this folder: {manifest.task} with a {facts.architecture}, in "
        f"{manifest.precision}. Layers are numbered from 0; L stands for any of the decoder's "
        f"{facts.decoder_layers}. All sizes that are words may be any number. Weights lie beside "
        "their graph, as ONNX external data.",
        "",
        *_graphs(manifest),
        *_tokens(manifest),
        *_limits(manifest),
        *_calling(manifest),
        *_vectors(vectors),
    ]
    return "\n".join(lines)


def expand_layers(name: str, layers: int) -> list[str]:
    """The names that a row of the contract stands for."""
    return [name.replace(".L.", f".{layer}.") for layer in range(layers if ".L." in name else 1)]


def _graphs(manifest: Manifest) -> Iterator[str]:
    aliases = _aliases(manifest)
    known: dict[tuple[object, object], str] = {}
    for name, graph in manifest.graphs.items():
        yield f"## {graph.file}"
        yield ""
        yield f"{_sentence(graph_meaning(name, manifest.task))}."
        for alias in aliases.get(graph.file, []):
            yield f"`{alias}` is the same graph, by the name that another loader looks for."
        yield ""
        same = known.setdefault((graph.inputs, graph.outputs), graph.file)
        if same != graph.file:
            yield f"Its tensors are those of `{same}`."
            yield ""
            continue
        yield "| | tensor | type | shape | |"
        yield "|---|---|---|---|---|"
        for kind, tensors in (("in", graph.inputs), ("out", graph.outputs)):
            for tensor in _by_layers(tensors):
                words = tensor_meaning(name, manifest.task, tensor.name)
                words = words.replace("key (value)", tensor.name.rpartition(".")[2])
                shape = ", ".join(map(str, tensor.shape))
                yield f"| {kind} | `{tensor.name}` | {tensor.dtype} | [{shape}] | {words} |"
        yield ""


def _aliases(manifest: Manifest) -> dict[str, list[str]]:
    """File of a graph -> other files that are the same."""
    known = {graph.file for graph in manifest.graphs.values()}
    found: dict[str, list[str]] = {}
    for file in known:
        record = manifest.files[file]
        others = [name for name, each in manifest.files.items() if each == record]
        found[file] = sorted(set(others) - known)
    return found


def _by_layers(tensors: Sequence[TensorSpec]) -> list[TensorSpec]:
    """Each once for all layers, L for the number."""
    named = [(_LAYER.sub("L", each.name), each) for each in tensors]
    first: Mapping[str, TensorSpec] = dict(reversed(named))
    return [
        TensorSpec(name=name, dtype=first[name].dtype, shape=first[name].shape)
        for name in dict.fromkeys(name for name, _ in named)
    ]


def _tokens(manifest: Manifest) -> Iterator[str]:
    yield "## Tokens"
    yield ""
    spec, ids = manifest.tokenizer, manifest.token_ids
    if spec is None:
        yield "The tokenizer is the checkpoint's own; its files are here as they were there."
    else:
        yield from _vocabulary(spec)
    ends = " or ".join(map(str, ids.eos_token_ids))
    yield f"- EOS is {ends}: it ends a source and a summary."
    yield f"- Pad is {ids.pad_token_id}: rows are filled up on the right, attention_mask 0 there."
    if manifest.task in ("summarization", "feature-extraction"):
        yield f"- The decoder starts with {ids.decoder_start_token_id}, which is not masked."
    yield ""


def _vocabulary(spec: TokenizerSpec) -> Iterator[str]:
    if spec.kind == "sentencepiece":
        moved = f" + {spec.offset}, from piece 2 on" if spec.offset else ""
        yield (
            f"- `{spec.file}` is a SentencePiece model. Its piece i has the token id i{moved}. No "
            f"text is encoded to ids below {spec.special_below}, but for {spec.unk_token_id}, the "
            "unknown token; leave all of these out of decoded text."
        )
    else:
        yield f"- `{spec.file}` is the vocabulary, a token a line or in tokenizer.json's form."
    yield "- `tokenizer.json`, where it is, is the same tokenizer for Hugging Face's libraries."
    ends = ", ".join(map(str, spec.suffix_ids))
    starts = f"{', '.join(map(str, spec.prefix_ids))} in front and " if spec.prefix_ids else ""
    yield f"- A text gets {starts}{ends} behind. One that is too long is cut before that is added."
    yield "- `<n>` in a summary is a new line. A new line in a text is read as a space."


def _limits(manifest: Manifest) -> Iterator[str]:
    limits, settings = manifest.limits, dict(manifest.generation)
    yield "## Limits and settings"
    yield ""
    yield f"- A source has at most {limits.max_source_tokens} tokens, EOS counted."
    yield f"- What is decoded has at most {limits.max_target_tokens}, the start token counted."
    if settings:
        yield f"- The checkpoint's own settings: `{json.dumps(settings)}`"
    yield ""


def _calling(manifest: Manifest) -> Iterator[str]:
    graphs = manifest.graphs
    if not any(_has_past(graph) for graph in graphs.values()):
        return
    yield "## Caches"
    yield ""
    yield from _CACHES.splitlines()
    yield ""
    is_causal = "model" in graphs
    facts = manifest.architecture
    yield "## A greedy loop"
    yield ""
    start = f"START is {manifest.token_ids.decoder_start_token_id}, " if not is_causal else ""
    yield f"{start}heads {facts.decoder_heads}, head_dim {facts.head_dim}."
    yield ""
    yield "```"
    yield from (_CAUSAL_LOOP if is_causal else _LOOP).splitlines()
    yield "```"
    yield ""


def _has_past(graph: GraphSpec) -> bool:
    return any(each.name.startswith("past_key_values.") for each in graph.inputs)


def _vectors(vectors: TestVectors | None) -> Iterator[str]:
    if vectors is None:
        return
    yield "## Test vectors"
    yield ""
    yield (
        "Computed with these very files: a text, its ids, and the tokens that a greedy loop "
        f"without any other rule goes on with, {vectors.max_new_tokens} at most (`generate` has "
        "the checkpoint's rules, such as an EOS that is forced at the end). All of them, for a "
        "program to read, are in `test_vectors.json`."
    )
    for vector in vectors.vectors:
        yield ""
        yield f"> {' '.join(vector.text.split())}"
        yield ""
        yield f"- ids: {_shown(vector.token_ids)}"
        for graph, tokens in vector.tokens.items():
            text = json.dumps(vector.texts[graph], ensure_ascii=False)
            yield f"- {graph}: {_shown(tokens)}: {text}"
    yield ""


def _shown(ids: Sequence[int]) -> str:
    if len(ids) <= 2 * _SHOWN:
        return " ".join(map(str, ids))
    start, end = ids[:_SHOWN], ids[-3:]
    return f"{' '.join(map(str, start))} … {' '.join(map(str, end))} ({len(ids)} in all)"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
