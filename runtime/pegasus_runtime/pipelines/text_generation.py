"""Pipeline "text-generation": prompts to what follows them.

Source: transformers 4.57, pipelines/text_generation.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pegasus_runtime.errors import InputError, OptionsError
from pegasus_runtime.generation.stream import check_count
from pegasus_runtime.pipelines.generation_keywords import (
    GENERATION_KEYWORDS,
    PipelineDefaults,
    generation_options,
    own_max_length,
)
from pegasus_runtime.pipelines.keywords import check_known, drop_none, is_truncating
from pegasus_runtime.pipelines.padded_rows import pad_rows
from pegasus_runtime.pipelines.pipeline_inputs import check_texts, in_groups
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.text_generator import TextGenerator

__all__ = ["TextGenerationPipeline"]

_OWN = (
    "add_special_tokens",
    "batch_size",
    "clean_up_tokenization_spaces",
    "handle_long_generation",
    "num_workers",
    "prefix",
    "return_full_text",
    "return_tensors",
    "return_text",
    "skip_special_tokens",
    "stop_sequence",
    "truncation",
)
_DEFAULTS = PipelineDefaults(settings={"do_sample": True, "temperature": 0.7})
_Shape: TypeAlias = Literal["full", "new", "tensors"]
Ids: TypeAlias = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """The keywords of one call, with those of the pipeline under them."""

    generation: dict[str, Any]
    """Options by name, as they were given."""
    shape: _Shape
    prefix: str
    adds_special_tokens: bool
    cuts_left: bool
    clean_up_spaces: bool
    batch_size: int


class TextGenerationPipeline:
    """What `pipeline("text-generation")` was, but for chats.

    Called with a prompt, it returns [{"generated_text": …}], the prompt first: several of them with
    num_return_sequences; with a list of prompts, a list of such lists; with what gives prompts one
    by one, an iterator, which reads no more than batch_size ahead. As there, it samples, at a
    temperature of 0.7, unless do_sample=False.
    """

    def __init__(self, model: TextGenerator, task: str, **keywords: Any) -> None:
        """keywords: of every call, unless the call has them too. Raises: OptionsError."""
        self.model = model
        self.task = task
        self._keywords = keywords
        self._options(self._call({}), 1)

    def __call__(self, text_inputs: str | Iterable[str], **keywords: Any) -> Any:
        """Prompts to texts.

        Options of generation go by their names in `GenerationOptions`; besides: return_full_text
        (False leaves the prompt out), return_tensors (generated_token_ids in place of the text, the
        prompt's first), prefix (before every prompt, and not returned), add_special_tokens (False
        leaves out the EOS that the tokenizer ends a prompt with), handle_long_generation ("hole"
        drops the beginning of a prompt that leaves too little room), stop_sequence (each of its
        tokens ends a text), clean_up_tokenization_spaces
        (False keeps spaces before punctuation). num_workers has no effect, and truncation none
        either: a prompt that was cut to the limit would leave no room.
        Raises: InputError, OptionsError, EngineError.
        """
        call = self._call(keywords)
        check_texts("text_inputs", text_inputs, expected="a prompt, or several of them")
        if isinstance(text_inputs, str):
            return next(self._run([text_inputs], call))
        found = self._run(text_inputs, call)
        return list(found) if isinstance(text_inputs, list) else found

    def _call(self, keywords: dict[str, Any]) -> _Call:
        given = drop_none({**self._keywords, **drop_none(keywords)})
        check_known(given, _OWN, GENERATION_KEYWORDS)
        own = {name: given.pop(name) for name in _OWN if name in given}
        if own.get("handle_long_generation", "hole") != "hole":
            raise OptionsError(
                f"handle_long_generation is {own['handle_long_generation']!r}, expected 'hole'"
            )
        if "stop_sequence" in own:
            stops = self.model.encode(own["stop_sequence"], add_special_tokens=False)
            given["eos_token_id"] = stops.token_ids
        check_count("batch_size", own.get("batch_size", 1))
        generation_options(self.model.bundle.manifest, self.task, _DEFAULTS, given)  # are they any
        is_truncating(own.get("truncation", False))  # what is no such value is refused
        if not own.get("skip_special_tokens", True):
            raise OptionsError("skip_special_tokens is False, which is not offered: leave it out")
        return _Call(
            generation=given,
            shape=_shape(own),
            prefix=str(
                own.get("prefix", self.model.bundle.manifest.generation.get("prefix") or "")
            ),
            adds_special_tokens=bool(own.get("add_special_tokens", True)),
            cuts_left="handle_long_generation" in own,
            clean_up_spaces=bool(own.get("clean_up_tokenization_spaces", True)),
            batch_size=own.get("batch_size", 1),
        )

    def _run(self, prompts: Iterable[str], call: _Call) -> Iterator[list[dict[str, Any]]]:
        for group in in_groups(prompts, call.batch_size):
            sources = [self._encode(each, call) for each in group]
            options = self._options(call, max(map(len, sources)))
            found = self.model.generate_ids(sources, options)
            for prompt, ids, hypotheses in zip(group, sources, found, strict=True):
                rows = [(*ids, *each.token_ids) for each in hypotheses]
                yield self._records(prompt, ids, rows, call, options)

    def _options(self, call: _Call, prompt_tokens: int) -> GenerationOptions:
        given, manifest = dict(call.generation), self.model.bundle.manifest
        if call.prefix:
            more = len(self.model.encode(call.prefix, add_special_tokens=False).token_ids)
            longest = own_max_length(manifest, given)
            if longest is not None and "max_new_tokens" not in given:
                given["max_length"] = longest + more
            if "min_length" in given and "min_new_tokens" not in given:
                given["min_length"] += more
        return generation_options(
            manifest, self.task, _DEFAULTS, given, prompt_tokens=prompt_tokens
        )

    def _encode(self, prompt: str, call: _Call) -> tuple[int, ...]:
        if not isinstance(prompt, str):
            raise InputError(
                f"prompt is {type(prompt).__name__}, expected text: chats are not read"
            )
        ids = self.model.encode(
            call.prefix + prompt, add_special_tokens=call.adds_special_tokens
        ).token_ids
        if not call.cuts_left:
            return ids
        limit = self.model.bundle.manifest.limits.max_target_tokens
        room = limit - self._new_tokens(len(ids), call)
        if room < 1:
            raise OptionsError(
                f"a prompt is to be cut for {limit - room} new tokens, the bundle takes {limit} "
                "with it: lower max_new_tokens"
            )
        return ids[-room:]

    def _new_tokens(self, prompt_tokens: int, call: _Call) -> int:
        """That are to follow. Raises: InputError."""
        if (asked := call.generation.get("max_new_tokens")) is not None:
            return int(asked)
        longest = own_max_length(self.model.bundle.manifest, call.generation)
        if longest is None:
            return _DEFAULTS.max_new_tokens
        if longest < prompt_tokens:
            raise InputError(
                f"the prompt has {prompt_tokens} tokens, more than max_length {longest}: say how "
                "many are to follow, by max_new_tokens"
            )
        return longest - prompt_tokens

    def _records(
        self, prompt: str, ids: Ids, found: Sequence[Ids], call: _Call, options: GenerationOptions
    ) -> list[dict[str, Any]]:
        if call.shape == "tensors":
            rows = pad_rows(found, self.model.resolve(options, prompt_tokens=len(ids)))
            return [{"generated_token_ids": row} for row in rows.tolist()]
        clean = call.clean_up_spaces
        skipped = len(self.model.decode(ids, clean_up_spaces=clean))
        texts = [self.model.decode(each, clean_up_spaces=clean)[skipped:] for each in found]
        start = prompt if call.shape == "full" else ""
        return [{"generated_text": start + text} for text in texts]


def _shape(own: dict[str, Any]) -> _Shape:
    others = [name for name in ("return_text", "return_tensors") if own.get(name)]
    if "return_full_text" in own and others:
        raise OptionsError(f"return_full_text and {others[0]} exclude each other: pass one of them")
    if len(others) > 1:
        raise OptionsError("return_text and return_tensors exclude each other: pass one of them")
    if others == ["return_tensors"]:
        return "tensors"
    return "full" if own.get("return_full_text", True) else "new"
