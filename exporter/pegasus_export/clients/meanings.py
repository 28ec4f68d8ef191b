"""What graphs and their tensors are, in words: one table for contract.md.

A graph or a tensor that it has no words for is refused, so that none is forgotten.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pegasus_runtime.bundle import Task

__all__ = ["graph_meaning", "tensor_meaning"]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """graph, tensor: regular expressions that match a whole name."""

    graph: str
    """A graph called model goes by its task."""
    tensor: str
    words: str


_SUFFIX = re.compile(r"_(quantized|fp16)$")
_GRAPHS: Mapping[str, str] = {
    "encoder_model": "reads the source, once",
    "decoder_model": "the first call: reads the start token, and makes the keys and values of the "
    "source",
    "decoder_with_past_model": "every later call: reads one token more",
    "decoder_model_merged": "the first call and every later one in one graph",
    "generate_text": "the same with text in front and behind, in operators of "
    "onnxruntime-extensions, whose library the session is to register",
    "generate": "the whole generation: encoder, decoder and search, in one call",
}
_MODELS: Mapping[Task, str] = {
    "text-generation": "first and later calls: reads what is new, after what it has read",
    "feature-extraction": "reads a source, and a text that is decoded over it",
    "text-classification": "scores a text",
    "question-answering": "scores where an answer starts and ends",
}
_CACHED = "key (value) of every token read so far, for decoder layer L: the next call's past"
_TENSORS: Sequence[_Meaning] = (
    _Meaning(
        "decoder.*",
        "input_ids",
        "what is new of the summary: the start token in the first call, then the token that was "
        "chosen last",
    ),
    _Meaning(
        "decoder.*",
        "encoder_attention_mask",
        "the source's attention_mask, in every call; a row for each row of input_ids",
    ),
    _Meaning(
        "decoder.*",
        "encoder_hidden_states",
        "last_hidden_state of the encoder; of the merged graph it is read in the first call alone, "
        "though it has to be given in all",
    ),
    _Meaning(
        "decoder.*",
        r"past_key_values\.L\.decoder\.(key|value)",
        "present.L.decoder.key (value) of the call before; of length 0 in the first one of the "
        "merged graph",
    ),
    _Meaning(
        "decoder.*",
        r"past_key_values\.L\.encoder\.(key|value)",
        "present.L.encoder.key (value) of the first call; of length 0 in that of the merged graph",
    ),
    _Meaning("decoder.*", r"present\.L\.decoder\.(key|value)", _CACHED),
    _Meaning(
        "decoder.*",
        r"present\.L\.encoder\.(key|value)",
        "key (value) of every token of the source, for decoder layer L: keep those of the first "
        "call, later ones of the merged graph are empty",
    ),
    _Meaning("decoder_model_merged", "use_cache_branch", "false in the first call, true after it"),
    _Meaning(
        "decoder.*|text-generation",
        "logits",
        "scores of every token of the vocabulary, for what may follow each token of input_ids: the "
        "last row counts",
    ),
    _Meaning("text-classification", "logits", "score of each label, in the order of config.json"),
    _Meaning(
        "text-generation",
        r"past_key_values\.L\.(key|value)",
        "present.L.key (value) of the call before; of length 0 in the first",
    ),
    _Meaning("text-generation", r"present\.L\.(key|value)", _CACHED),
    _Meaning(
        "feature-extraction",
        "decoder_input_ids",
        "tokens that are decoded over the source, start token first",
    ),
    _Meaning(
        "feature-extraction", "last_hidden_state", "what the decoder makes of each of its tokens"
    ),
    _Meaning(
        "feature-extraction", "encoder_last_hidden_state", "what the encoder makes of each token"
    ),
    _Meaning(
        "question-answering",
        "(start|end)_logits",
        "of each token: whether an answer starts (ends) there",
    ),
    _Meaning("encoder_model", "last_hidden_state", "what the encoder makes of each token"),
    _Meaning(
        ".*",
        "input_ids",
        "token ids, EOS at the end; shorter rows are filled up with pad on the right",
    ),
    _Meaning(".*", "attention_mask", "1 for a token, 0 for what rows are filled up with"),
    _Meaning("generate_text", "text", "documents as they are"),
    _Meaning("generate_text", "texts", "summaries, best first"),
    _Meaning("generate_text", "truncated", "whether a document was over the limit, and was cut"),
    _Meaning("generate_text", "num_tokens", "of each document before that, EOS counted"),
    _Meaning("generate(_text)?", "num_beams", "beams of the search; 1 is greedy"),
    _Meaning("generate(_text)?", "max_length", "most tokens, the start token counted"),
    _Meaning(
        "generate(_text)?", "min_length", "before so many tokens EOS is not taken; 0 for none"
    ),
    _Meaning(
        "generate(_text)?",
        "length_penalty",
        "a score is divided by its length to the power of this",
    ),
    _Meaning(
        "generate(_text)?",
        "early_stopping",
        '0: a heuristic; 1: with as many finished as beams; 2: "never"',
    ),
    _Meaning(
        "generate(_text)?", "no_repeat_ngram_size", "no n tokens in a row come twice; 0 for any"
    ),
    _Meaning(
        "generate(_text)?", "repetition_penalty", "of tokens that were there already; 1 for none"
    ),
    _Meaning("generate(_text)?", "num_return_sequences", "how many of the beams are handed out"),
    _Meaning(
        "generate(_text)?",
        "sequences",
        "token ids, best first: no start token, EOS kept, filled up with pad",
    ),
    _Meaning("generate(_text)?", "lengths", "tokens of each, EOS counted"),
    _Meaning(
        "generate(_text)?", "scores", "of each: the sum of its log-probabilities, by length_penalty"
    ),
)


def graph_meaning(graph: str, task: Task) -> str:
    """graph: its name, with or without what tells the precision. Raises: ValueError."""
    name = _SUFFIX.sub("", graph)
    words = _MODELS.get(task) if name == "model" else _GRAPHS.get(name)
    if words is None:
        raise ValueError(f"graph {graph} has no meaning, expected one in meanings.py")
    return words


def tensor_meaning(graph: str, task: Task, tensor: str) -> str:
    """tensor: its name, with L for the number of a layer. Raises: ValueError."""
    name = task if graph == "model" else _SUFFIX.sub("", graph)
    for each in _TENSORS:
        if re.fullmatch(each.graph, name) and re.fullmatch(each.tensor, tensor):
            return each.words
    raise ValueError(f"{tensor} of graph {graph} has no meaning, expected one in meanings.py")
