"""What requests say, as types: for the checks, and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from pegasus_runtime.tasks.long_documents.long import Long

__all__ = ["AnswerRequest", "ClassifyRequest", "Parameters", "SummarizeRequest"]


Int = StrictInt | None
Float = StrictFloat | None
Bool = StrictBool | None
Ids = list[StrictInt]
Text = Annotated[StrictStr, Field(min_length=1)]

ARTICLE = (
    "The river rose by two metres in the night. Firefighters brought forty people to a school, and "
    "the bridge in the old town is closed until engineers have looked at it, the mayor said."
)
_TIMEOUT = Field(
    default=None, gt=0, description="Seconds until the request is given up: status 504."
)
_MODEL = Field(
    default=None, description="Which model; needed only where several of the task are served."
)
_LONG = "What becomes of a text over the model's limit."


class _Strict(BaseModel):
    """No field that is not known, no text in place of a number, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Parameters(_Strict):
    """Options of generation, by Hugging Face's names; those left out are the checkpoint's own."""

    num_beams: Int = Field(default=None, description="Beams; 1 is greedy search.")
    max_length: Int = Field(default=None, description="Most tokens, start token included.")
    max_new_tokens: Int = Field(
        default=None, description="Most generated tokens; beats max_length."
    )
    min_length: Int = Field(default=None, description="Fewest tokens, start token included.")
    min_new_tokens: Int = Field(
        default=None, description="Fewest generated tokens; beats min_length."
    )
    length_penalty: Float = Field(default=None, description="Above 0 favours longer texts.")
    early_stopping: StrictBool | Literal["never"] | None = Field(
        default=None, description='true, false, or "never".'
    )
    no_repeat_ngram_size: Int = Field(
        default=None, description="No n-gram of this size twice; 0 is off."
    )
    encoder_no_repeat_ngram_size: Int = Field(
        default=None, description="None copied from the text."
    )
    repetition_penalty: Float = Field(
        default=None, description="Above 1, used tokens are less likely."
    )
    encoder_repetition_penalty: Float = Field(
        default=None, description="Above 1, the text's are likelier."
    )
    exponential_decay_length_penalty: list[StrictInt | StrictFloat] | None = Field(
        default=None, description="[start, factor]: the end becomes likelier after start tokens."
    )
    sequence_bias: list[tuple[Ids, StrictFloat]] | None = Field(
        default=None, description="[[token ids, what is added to their score], ...]."
    )
    bad_words_ids: list[Ids] | None = Field(
        default=None, description="Sequences that must not occur."
    )
    suppress_tokens: Ids | None = Field(
        default=None, description="Tokens that are never generated."
    )
    begin_suppress_tokens: Ids | None = Field(default=None, description="Not generated first.")
    forced_bos_token_id: Int = Field(default=None, description="The token that is generated first.")
    forced_eos_token_id: StrictInt | Ids | None = Field(
        default=None, description="That at max_length."
    )
    eos_token_id: StrictInt | Ids | None = Field(
        default=None, description="Tokens that end a text."
    )
    decoder_input_ids: Ids | None = Field(default=None, description="How every summary begins.")
    num_return_sequences: Int = Field(
        default=None, description="Texts for each document, best first."
    )
    do_sample: Bool = Field(default=None, description="Draw tokens at random.")
    seed: Int = Field(default=None, description="Of sampling: the same seed, the same texts.")
    temperature: Float = Field(default=None, description="Of sampling: below 1 is less random.")
    top_k: Int = Field(default=None, description="Of sampling: the k likeliest tokens; 0 is all.")
    top_p: Float = Field(
        default=None, description="Of sampling: the likeliest up to this together."
    )
    min_p: Float = Field(
        default=None, description="Of sampling: at least this, times the likeliest."
    )
    top_h: Float = Field(default=None, description="Of sampling: up to this share of the entropy.")
    typical_p: Float = Field(default=None, description="Of sampling: the most typical, up to this.")
    epsilon_cutoff: Float = Field(
        default=None, description="Of sampling: at least this probability."
    )
    eta_cutoff: Float = Field(
        default=None, description="Of sampling: the same, fewer where few are likely."
    )
    renormalize_logits: Bool = Field(
        default=None, description="Scores are log-probabilities at the end."
    )
    remove_invalid_values: Bool = Field(
        default=None, description="What is banned is very unlikely only."
    )
    token_scores: Bool = Field(default=None, description="Whether results have token_scores.")


class SummarizeRequest(_Strict):
    """One text, or several, to summarise."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": ARTICLE},
                {
                    "inputs": [ARTICLE, "The mayor opened the bridge on Monday."],
                    "parameters": {"num_beams": 2, "max_new_tokens": 20, "length_penalty": 0.8},
                    "long": "truncate",
                    "timeout_s": 20,
                },
            ]
        }
    )

    inputs: Text | Annotated[list[StrictStr], Field(min_length=1)] = Field(
        description="A text, or a list of texts."
    )
    model: StrictStr | None = _MODEL
    parameters: Parameters = Parameters()
    long: Long = Field(default="error", description=_LONG)
    stream: StrictBool = Field(
        default=False, description="Server-sent events, of one text: partial, then result or error."
    )
    timeout_s: Float = _TIMEOUT
    priority: StrictInt = Field(default=0, ge=-10, le=10, description="Higher ones go first.")


class ClassifyRequest(_Strict):
    """One text, or several, to label."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": ARTICLE}]})

    inputs: Text | Annotated[list[StrictStr], Field(min_length=1)] = Field(
        description="A text, or a list of texts."
    )
    model: StrictStr | None = _MODEL
    long: Literal["error", "truncate"] = Field(default="error", description=_LONG)
    timeout_s: Float = _TIMEOUT


class AnswerRequest(_Strict):
    """A question, and the text that has its answer."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"question": "What is closed?", "context": ARTICLE}]}
    )

    question: Text
    context: Text
    model: StrictStr | None = _MODEL
    top_k: StrictInt = Field(default=1, ge=1, le=100, description="Answers, the best first.")
    max_answer_tokens: StrictInt = Field(default=15, ge=1, description="No answer is longer.")
    long: Literal["error", "truncate"] = Field(default="error", description=_LONG)
    timeout_s: Float = _TIMEOUT
