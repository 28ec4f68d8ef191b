"""Does a bundle give transformers' tokens? Random checkpoints, random options, padded batches.

Every case exports nothing but what a user would export: a checkpoint is written as transformers
writes it, exported to a target, loaded by `Summarizer`, and held against `generate` of
transformers on the same checkpoint in fp32. Ten cases share a checkpoint, as an export takes
longer than a case.

Of targets trt and trt-rtx it is the graphs that plans are built of, in ONNX Runtime on the CPU
(--onnx-only and provider cpu), which needs no GPU. BigBirdPegasus has its sparse attention as
TensorRT's plugin for trt, whose body runs, and in plain operators for trt-rtx. Sizes are padded as
on a GPU: to 32 beams, to a batch of 1 or 4, to a few source lengths and to the checkpoint's
positions. Their cases are those of target ort, but for trt's BigBirdPegasus checkpoints, which have
sizes that the plugin has kernels for.

Two cases in five have options besides that look at scores or give a prefix, one in four draws its
tokens. A draw cannot be transformers': torch.multinomial draws by our numbers there, from its own
probabilities, so that a whole sample is compared token by token. A seed with which rounding may
decide a draw is drawn again.

Where a document's options leave fewer sequences possible than asked for, transformers fills up
with rows that stand for none (score -1e9); here fewer come back. With encoder_no_repeat_ngram_size,
transformers bans n-grams of padding too, so that its batches differ from its own single documents:
there, and with encoder_repetition_penalty, it is asked one document at a time.

BigBirdPegasus is asked one document at a time too, as its sparse attention depends on padding: a
batch decides by its longest document whether all of it is sparse, and the last block, which every
query sees, is padding for all others. Before each, its encoder is set to block-sparse attention,
for after a short document it stays with full attention for good.

Of targets generate and generate-ort it is generate.onnx that runs. Its cases have the options that
are inputs of the graph, and its checkpoints the settings that are constants. BigBirdPegasus
is asked in batches, with which the graph does what transformers does.

A decoder alone continues prompts, with and without EOS at their end, as long as positions are left
for what follows. It is asked one at a time: its positions count padding, so that in a batch of
transformers' own a shorter prompt is read as another one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from e2e.parity.checkpoints import (
    MAX_BEAMS,
    MAX_DOCUMENTS,
    Opened,
    export_checkpoint,
    make_checkpoint,
)
from e2e.parity.models import CAUSAL
from e2e.parity.outcome import Outcome
from e2e.parity.scores import Sequences, is_within_rounding, score_error
from e2e.parity.whole_graph import WholeGraph, options_of_graph
from pegasus_runtime import (
    GenerationOptions,
    Hypothesis,
    OptionsError,
    Summarizer,
    TextGenerator,
)
from runtime.search.oracle import (
    draws_for,
    random_options,
    run_oracle,
    with_draws,
    with_more_options,
)
from runtime.search.shared_draws import SharedDraws

__all__ = ["Mismatch", "ask_transformers", "draw_options", "run_cases"]

CASES_PER_CHECKPOINT = 10
NO_SEQUENCE = -5e8


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One document whose sequences differ."""

    seed: int
    case: int
    document: int
    options: dict[str, Any]
    ours: list[Any]
    theirs: list[Any]
    margin: float
    """Score of their best sequence less that of ours: near 0, two beams are tied."""


def run_cases(
    cases: int, seed: int, folder: Path, *, family: str = "pegasus", target: str = "ort"
) -> tuple[Outcome, list[Mismatch]]:
    """The counts over all cases, and every document whose sequences differ.

    family: one of MODELS. target: one of TARGETS.
    """
    import torch
    import transformers

    torch.set_num_threads(1)
    logging: Any = transformers.logging
    logging.set_verbosity_error()
    outcome, mismatches = Outcome(), []
    for case in range(cases):
        if case % CASES_PER_CHECKPOINT == 0:
            home = folder / str(case)
            model = make_checkpoint(home, seed, case, family, target)
            summarizer = export_checkpoint(
                home, model.config.max_position_embeddings, target, causal=family in CAUSAL
            )
        mismatches += _run_case(outcome, model, summarizer, seed=seed, case=case)
        outcome.cases += 1
    return outcome, mismatches


def _run_case(
    outcome: Outcome, model: Any, summarizer: Opened, *, seed: int, case: int
) -> list[Mismatch]:
    """Counts one batch, and returns the documents whose sequences differ."""
    rng = np.random.default_rng([seed, case])
    options = draw_options(rng, summarizer)
    if isinstance(summarizer, TextGenerator):
        options, sources = _random_prompts(rng, summarizer, options)
    else:
        sources = _random_sources(rng, summarizer)
    while True:
        theirs, is_close = ask_transformers(model, summarizer, sources, options)
        if not is_close:
            break
        assert options is not None
        options = replace(options, seed=int(rng.integers(1 << 30)))
    ours = _generate(summarizer, sources, options)
    mismatches = _compare(outcome, ours, theirs, options, seed=seed, case=case)
    for document, (own, other) in enumerate(zip(ours, theirs, strict=True)):

        def ask(model: Any, document: int = document) -> Sequences:
            return ask_transformers(model, summarizer, sources, options)[0][document]

        outcome.score_mismatches += not is_within_rounding(own, other, model, ask)
    if isinstance(summarizer, WholeGraph) and summarizer.is_sparse:
        return mismatches  # as in transformers, a batch decides together
    alone = [_generate(summarizer, [source], options)[0] for source in sources]
    outcome.batch_mismatches += sum(
        [x.token_ids for x in one] != [x.token_ids for x in batched]
        for one, batched in zip(alone, ours, strict=True)
    )
    return mismatches


def _generate(
    opened: Opened, sources: list[list[int]], options: GenerationOptions | None
) -> list[list[Hypothesis]]:
    if isinstance(opened, TextGenerator):
        return opened.generate_ids(sources, options)
    return opened.generate(sources, options)


def draw_options(rng: np.random.Generator, summarizer: Opened) -> GenerationOptions | None:
    """Options that the bundle accepts: drawn again where they contradict its defaults."""
    while True:
        options = _random_options(rng, summarizer.bundle.manifest.architecture.vocab_size)
        if options is not None and isinstance(summarizer, TextGenerator):
            options = replace(options, decoder_input_ids=None)
        if isinstance(summarizer, WholeGraph):
            options = options_of_graph(options)
        try:
            summarizer.resolve(options)
        except OptionsError:
            continue
        return options


def _random_options(rng: np.random.Generator, vocab_size: int) -> GenerationOptions | None:
    kind = rng.random()
    if kind < 0.1:
        return None  # the checkpoint's defaults
    options = random_options(rng, vocab_size)
    if kind < 0.25:
        options = replace(options, num_beams=1, num_return_sequences=None)
    elif kind < 0.35:
        options = replace(options, num_beams=int(rng.integers(9, MAX_BEAMS + 1)))
    if rng.random() < 0.4:
        options = with_more_options(rng, options, vocab_size)
    return with_draws(rng, options) if rng.random() < 0.25 else options


def _random_sources(
    rng: np.random.Generator, summarizer: Summarizer | WholeGraph
) -> list[list[int]]:
    manifest = summarizer.bundle.manifest
    longest, vocab_size = manifest.limits.max_source_tokens, manifest.architecture.vocab_size
    lengths = rng.integers(1, longest, int(rng.integers(1, MAX_DOCUMENTS + 1)))
    return [[*rng.integers(2, vocab_size, length).tolist(), 1] for length in lengths]


def _random_prompts(
    rng: np.random.Generator, generator: TextGenerator, options: GenerationOptions | None
) -> tuple[GenerationOptions | None, list[list[int]]]:
    """Prompts that leave room, for options that count them or, in half of the cases, do not; some
    end in tokens of their own."""
    manifest = generator.bundle.manifest
    longest = generator.resolve(options).max_length
    if options is not None and options.max_length is not None and rng.random() < 0.5:
        options = replace(options, max_length=None, max_new_tokens=longest - 1)
        longest = manifest.limits.max_target_tokens - longest + 1
    vocab_size = manifest.architecture.vocab_size
    if options is not None and rng.random() < 0.3:
        ends = rng.integers(1, vocab_size, int(rng.integers(1, 4)))
        options = replace(options, eos_token_id=ends.tolist())
    lengths = rng.integers(1, longest, int(rng.integers(1, MAX_DOCUMENTS + 1)))
    lengths[1:] = np.where(rng.random(len(lengths) - 1) < 0.5, lengths[0], lengths[1:])
    prompts = [rng.integers(2, vocab_size, length).tolist() for length in lengths]
    return options, [[*each[:-1], 1] if rng.random() < 0.5 else each for each in prompts]


def ask_transformers(
    model: Any,
    summarizer: Opened,
    sources: list[list[int]],
    options: GenerationOptions | None,
) -> tuple[list[Sequences], bool]:
    """Sequences and scores by document, and whether rounding may have decided a draw."""
    eos = summarizer.bundle.manifest.token_ids.eos_token_ids
    asked = options or GenerationOptions()
    is_sparse = summarizer.bundle.manifest.architecture.attention_type == "block_sparse"
    sees_padding = asked.encoder_no_repeat_ngram_size or asked.encoder_repetition_penalty
    one_by_one = (
        (is_sparse and not isinstance(summarizer, WholeGraph))
        or sees_padding
        or isinstance(summarizer, TextGenerator)
    )
    settings = summarizer.resolve(options)
    found, is_close = [], False
    for batch in [[x] for x in sources] if one_by_one else [sources]:
        if is_sparse:
            model.get_encoder().set_attention_type("block_sparse")
        with draws_for(batch, asked, settings) as draws:
            found += run_oracle(model, batch, asked, eos=eos)
        is_close |= isinstance(draws, SharedDraws) and draws.is_close
    possible = [
        [(tokens, score) for tokens, score in document if not score < NO_SEQUENCE]
        for document in found
    ]
    return possible, is_close


def _compare(
    outcome: Outcome,
    ours: list[list[Hypothesis]],
    theirs: list[Sequences],
    options: GenerationOptions | None,
    *,
    seed: int,
    case: int,
) -> list[Mismatch]:
    mismatches = []
    for document, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        outcome.documents += 1
        outcome.sequences += len(own)
        outcome.tokens += sum(len(x.token_ids) for x in own)
        if options is not None and options.do_sample and options.num_beams == 1:
            # transformers neither sorts nor scores samples
            own = sorted(own, key=lambda each: each.token_ids)
            other = sorted(other)
        if [x.token_ids for x in own] != [tokens for tokens, _ in other]:
            outcome.token_mismatches += 1
            shown = {
                k: v for k, v in asdict(options or GenerationOptions()).items() if v is not None
            }
            mismatches.append(
                Mismatch(
                    seed=seed,
                    case=case,
                    document=document,
                    options=shown,
                    ours=[(x.token_ids, x.score) for x in own],
                    theirs=list(other),
                    margin=other[0][1] - own[0].score if own and other else float("nan"),
                )
            )
            continue
        outcome.largest_score_error = max(outcome.largest_score_error, score_error(own, other))
    return mismatches
