"""Prompts to what follows them, from a bundle of task text-generation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import InputError, OptionsError
from pegasus_runtime.generation.failure import Errors, Failure, check_errors, record_failure
from pegasus_runtime.generation.loop import Hypothesis
from pegasus_runtime.generation.stream import WINDOW_DOCUMENTS, check_count
from pegasus_runtime.generation.watch import Cancel, OnProgress, Watch
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.tasks.check_generating import check_generating
from pegasus_runtime.tasks.closing import Closing
from pegasus_runtime.tasks.encode_documents import check_several
from pegasus_runtime.tasks.generation import Generation
from pegasus_runtime.tasks.open_task import open_task
from pegasus_runtime.tasks.origin import remembers_origin
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.run import OnStep, Run, SettingsFor, plan_equal_lengths
from pegasus_runtime.tasks.source import check_prompt
from pegasus_runtime.tokenization.tokenizer import Encoding, Newlines, Tokenizer

if TYPE_CHECKING:
    from pegasus_runtime.decoding.protocol import Engine

__all__ = ["TextGenerator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prompt:
    text: str
    encoding: Encoding


class TextGenerator(Closing["Engine"]):
    """A loaded text-generation bundle; one may be used from several threads.

    >>> with TextGenerator.load("stories") as generator:     # doctest: +SKIP
    ...     print(generator.generate("Once upon a time").text)
    """

    def __init__(self, bundle: Bundle, engine: Engine, tokenizer: Tokenizer) -> None:
        super().__init__(bundle, engine)
        self._tokenizer = tokenizer

    @classmethod
    @remembers_origin
    def load(
        cls,
        source: Path | str,
        *,
        precision: str | None = None,
        revision: str | None = None,
        threads: int | None = None,
        check_hashes: bool = False,
        manifest_sha256: str | None = None,
        newlines: Newlines = "hf",
        parse_special_tokens: bool = False,
        max_unknown: float | None = None,
    ) -> TextGenerator:
        """Loads a bundle that pegasus-export wrote for target `ort`.

        Arguments and errors are those of `Summarizer.load`.
        """
        from pegasus_runtime.sessions.open_engine import open_engine  # when it is needed

        def load(bundle: Bundle) -> Engine:
            check_generating(bundle, {"prefill", "decoder_step"})
            return open_engine(bundle, threads=threads)

        opened = open_task(
            source,
            "text-generation",
            load,
            precision=precision,
            revision=revision,
            check_hashes=check_hashes,
            manifest_sha256=manifest_sha256,
            newlines=newlines,
            parse_special_tokens=parse_special_tokens,
            max_unknown=max_unknown,
        )
        return cls(opened.bundle, opened.model, opened.tokenizer)

    @overload  # a str is an Iterable[str] too; the first match is the one that counts
    def generate(  # type: ignore[overload-overlap]
        self,
        prompts: str,
        options: GenerationOptions | None = None,
        *,
        add_special_tokens: bool = True,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Generation: ...

    @overload
    def generate(
        self,
        prompts: Iterable[str],
        options: GenerationOptions | None = None,
        *,
        add_special_tokens: bool = True,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> list[Generation]: ...

    @overload
    def generate(
        self,
        prompts: str | Iterable[str],
        options: GenerationOptions | None = None,
        *,
        add_special_tokens: bool = True,
        errors: Errors,
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Generation | Failure | list[Generation | Failure]: ...

    def generate(
        self,
        prompts: str | Iterable[str],
        options: GenerationOptions | None = None,
        *,
        add_special_tokens: bool = True,
        errors: Errors = "raise",
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Generation | Failure | Sequence[Generation | Failure]:
        """What follows a prompt, or each of several, in their order; that of it alone.

        Tokens are those of transformers' `generate` on what its tokenizer makes of the prompt. So
        max_length and min_length count the prompt, and n-grams and repetitions of it count, too.
        add_special_tokens: as there, a prompt ends in EOS; False leaves that out.
        The other arguments, and what is raised, are those of `Summarizer.summarize`; a prompt that
        leaves no room for a token is an InputError.
        """
        check_errors(errors)
        check_several("prompts", prompts, expected="a prompt or several")
        self.resolve(options)  # what is wrong with any prompt is an OptionsError
        read = partial(self._read, options, add_special_tokens)
        items: list[_Prompt | Failure] = []
        if isinstance(prompts, str) and errors == "raise":
            items.append(read(prompts))
        else:
            given = [prompts] if isinstance(prompts, str) else prompts
            for item in _read_each(read, given, errors):
                if isinstance(item, Failure) and errors == "raise":
                    raise item.error
                items.append(item)
        watch = Watch(len(items), on_progress=on_progress, cancel=cancel, timeout_s=timeout_s)
        found = self._run(options, watch, on_step=on_step).all(items, errors)
        return found[0] if isinstance(prompts, str) else found

    def generate_each(
        self,
        prompts: Iterable[str],
        options: GenerationOptions | None = None,
        *,
        add_special_tokens: bool = True,
        errors: Errors = "raise",
        batch_size: int | None = None,
        window: int = WINDOW_DOCUMENTS,
        on_progress: OnProgress | None = None,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Generation | Failure]:
        """What follows any number of prompts, in order, each as soon as it is there.

        Prompts of as many tokens run together, of the `window` that are read ahead. Arguments and
        errors are those of `Summarizer.summarize_each` and of `generate`.
        """
        check_errors(errors)
        if isinstance(prompts, str):
            raise OptionsError("prompts is one text, expected several: call generate, or [text]")
        check_several("prompts", prompts, expected="several prompts")
        check_count("batch_size", 1 if batch_size is None else batch_size)
        check_count("window", window)
        self.resolve(options)
        total = len(prompts) if isinstance(prompts, Sized) else None
        watch = Watch(total, on_progress=on_progress, cancel=cancel, timeout_s=timeout_s)
        read = partial(self._read, options, add_special_tokens)
        items = _read_each(read, watch.see(prompts), errors)
        run = self._run(options, watch, on_step=on_step, batch_size=batch_size)
        return run.each(items, errors, on_read=watch.check, window=window)

    def stream(
        self,
        prompt: str,
        options: GenerationOptions | None = None,
        *,
        add_special_tokens: bool = True,
        on_step: OnStep | None = None,
        cancel: Cancel | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Partial | Generation]:
        """What follows a prompt as it comes: what is certain of it so far, and at last all of it.

        As `Summarizer.stream`, with the arguments and errors of `generate`.
        """
        item = self._read(options, add_special_tokens, prompt)
        watch = Watch(1, on_progress=None, cancel=cancel, timeout_s=timeout_s)
        return self._run(options, watch, on_step=on_step).stream(item, self._settled)

    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        options: GenerationOptions | None = None,
    ) -> list[list[Hypothesis]]:
        """Token ids to those that follow: one list of hypotheses per prompt, best first.

        prompts: of any lengths, without padding, each continued as it is.
        Raises: InputError, OptionsError, EngineError.
        """
        check_several("prompts", prompts, expected="one list of token ids per prompt")
        self.resolve(options)
        engine, prompts = self._open_engine(), list(prompts)
        for number, prompt in enumerate(prompts):
            check_prompt(number, prompt, self.bundle.manifest)
            try:
                self._check_room(options, len(prompt))
            except InputError as err:
                raise InputError(f"prompt {number}: {err}") from err

        watch = Watch(len(prompts), on_progress=None, cancel=None, timeout_s=None)
        settings = self._settings_for(options)
        run: Run[Sequence[int], list[Hypothesis]] = Run(
            engine=engine,
            watch=watch,
            settings=settings,
            plan=plan_equal_lengths(self.bundle.manifest, settings),
            ids=lambda prompt: prompt,
            result=lambda found, prompt, seconds: list(found),
        )
        found = run.each(prompts, "raise")
        return [each for each in found if not isinstance(each, Failure)]

    def encode(self, text: str, *, add_special_tokens: bool = True) -> Encoding:
        """Token ids of a prompt, of any length; see `generate`. Raises: InputError."""
        return self._tokenizer.encode(text, add_special_tokens=add_special_tokens)

    def decode(self, token_ids: Iterable[int], *, clean_up_spaces: bool | None = None) -> str:
        """Text of token ids; see `Summarizer.decode`."""
        return self._tokenizer.decode(token_ids, clean_up_spaces=clean_up_spaces)

    def resolve(
        self, options: GenerationOptions | None = None, *, prompt_tokens: int = 1
    ) -> SearchSettings:
        """The options over the checkpoint's defaults, concrete and checked, for a prompt.

        prompt_tokens: how many it has. Raises: OptionsError.
        """
        check_count("prompt_tokens", prompt_tokens)
        return resolve_for_manifest(
            options or GenerationOptions(), self.bundle.manifest, continued_tokens=prompt_tokens
        )

    def _read(
        self, options: GenerationOptions | None, add_special_tokens: bool, text: str
    ) -> _Prompt:
        """Raises: InputError."""
        encoding = self.encode(text, add_special_tokens=add_special_tokens)
        self._check_room(options, len(encoding.token_ids))
        return _Prompt(text=text, encoding=encoding)

    def _check_room(self, options: GenerationOptions | None, prompt_tokens: int) -> None:
        """Whether any token may follow so many. Raises: InputError."""
        limit = self.bundle.manifest.limits.max_target_tokens
        if prompt_tokens >= limit:
            raise InputError(
                f"the prompt has {prompt_tokens} tokens, the bundle takes {limit} with those that "
                "follow: shorten it"
            )
        try:
            self.resolve(options, prompt_tokens=prompt_tokens)
        except OptionsError as err:
            raise InputError(str(err)) from err

    def _run(
        self,
        options: GenerationOptions | None,
        watch: Watch,
        *,
        on_step: OnStep | None = None,
        batch_size: int | None = None,
    ) -> Run[_Prompt, Generation]:
        settings = self._settings_for(options)
        return Run(
            engine=self._open_engine(),
            watch=watch,
            settings=settings,
            plan=plan_equal_lengths(self.bundle.manifest, settings, batch_size),
            ids=lambda prompt: prompt.encoding.token_ids,
            result=self._generation,
            on_step=on_step,
        )

    def _settings_for(self, options: GenerationOptions | None) -> SettingsFor:
        return lambda length: self.resolve(options, prompt_tokens=length)

    def _settled(self, prompt: _Prompt, token_ids: tuple[int, ...]) -> str:
        """What stands of the text behind a prompt."""
        prompt_ids = prompt.encoding.token_ids
        settled = self._tokenizer.decode_settled((*prompt_ids, *token_ids))
        return settled[len(self._tokenizer.decode(prompt_ids)) :]

    def _generation(
        self, hypotheses: Sequence[Hypothesis], prompt: _Prompt, seconds: float
    ) -> Generation:
        prompt_ids = prompt.encoding.token_ids
        # Alone, what follows would lose the space before it. transformers' pipeline cuts so, too.
        skipped = len(self._tokenizer.decode(prompt_ids))
        best, *others = [
            Generation(
                prompt=prompt.text,
                text=self._tokenizer.decode((*prompt_ids, *hypothesis.token_ids))[skipped:],
                prompt_ids=prompt_ids,
                token_ids=hypothesis.token_ids,
                score=hypothesis.score,
                token_scores=hypothesis.token_scores,
                unknown_share=prompt.encoding.unknown_share,
                control_characters=prompt.encoding.control_characters,
                looks_like_html=prompt.encoding.looks_like_html,
            )
            for hypothesis in hypotheses
        ]
        return dataclasses.replace(best, seconds=seconds, alternatives=tuple(others))


def _read_each(
    read: Callable[[str], _Prompt], prompts: Iterable[str], errors: Errors
) -> Iterator[_Prompt | Failure]:
    """One after another, when asked for; what cannot be read is a failure."""
    for number, text in enumerate(prompts):
        try:
            prompt = read(text)
        except InputError as err:
            named = InputError(f"prompt {number}: {err}") if errors == "raise" else err
            yield record_failure(number, named)
        except MemoryError:
            yield record_failure(
                number, InputError(f"prompt {number}: not enough memory to encode it: shorten it")
            )
        else:
            yield prompt
