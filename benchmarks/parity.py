"""Does a bundle give transformers' tokens? Random checkpoints, random options, padded batches.

Every case exports nothing but what a user would export: a checkpoint is written as transformers
writes it, exported to a target, loaded by `Summarizer`, and held against `generate` of
transformers on the same checkpoint in fp32. Ten cases share a checkpoint, as an export takes
longer than a case.

    python benchmarks/parity.py --cases 500 --seed 7
    python benchmarks/parity.py --model bigbird --cases 200 --seed 7
    python benchmarks/parity.py --target trt-rtx --cases 100 --seed 7
    python benchmarks/parity.py --target trt --model bigbird --cases 100 --seed 7

Of targets trt and trt-rtx it is the graphs that plans are built of, in ONNX Runtime on the CPU
(--onnx-only and provider cpu), which needs no GPU. BigBirdPegasus has its sparse attention as
TensorRT's plugin for trt, whose body runs, and in plain operators for trt-rtx. Sizes are padded as
on a GPU: to 32 beams, to a batch of 1 or 4, to a few source lengths and to the checkpoint's
positions. Their cases are those of target ort, but for trt's BigBirdPegasus checkpoints, which have
sizes that the plugin has kernels for.

Where a document's options leave fewer sequences possible than asked for, transformers fills up
with rows that stand for none (score -1e9); here fewer come back. With encoder_no_repeat_ngram_size,
transformers bans n-grams of padding too, so that its batches differ from its own single documents:
there, it is asked one document at a time.

BigBirdPegasus is asked one document at a time too, as its sparse attention depends on padding: a
batch decides by its longest document whether all of it is sparse, and the last block, which every
query sees, is padding for all others. Before each, its encoder is set to block-sparse attention,
for after a short document it stays with full attention for good.
"""

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from exporter.tiny_checkpoint import write_tiny_checkpoint
from measure import describe_machine
from pegasus_engines.plans.build import BuildRequest
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime import GenerationOptions, Hypothesis, OptionsError, Summarizer
from runtime.search.oracle import random_options, run_oracle

__all__ = ["Mismatch", "Outcome", "run_cases"]

SCORE_TOLERANCE = 1e-4
CASES_PER_CHECKPOINT = 10
MAX_DOCUMENTS = 4
MAX_BEAMS = 32  # that are drawn, and that bundles of target ort take
TARGETS = ("ort", "trt", "trt-rtx")
NO_SEQUENCE = -5e8
ARCHITECTURES = {
    "pegasus": "PegasusForConditionalGeneration",
    "bigbird": "BigBirdPegasusForConditionalGeneration",
}
WEIGHTS = ("safetensors", "safetensors-sharded", "bin", "bin-sharded", "bin-legacy")


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


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Counts over all cases."""

    cases: int = 0
    documents: int = 0
    sequences: int = 0
    tokens: int = 0
    token_mismatches: int = 0
    batch_mismatches: int = 0
    largest_score_error: float = 0.0
    """|ours - theirs| / max(1, |theirs|): a length_penalty of -2 multiplies scores by length²."""
    score_mismatches: int = 0
    """Documents over the tolerance, in comparison with transformers in float64 as well: random
    weights are sharp, and float32 itself is off by nearly as much now and then."""


def run_cases(
    cases: int, seed: int, folder: Path, *, family: str = "pegasus", target: str = "ort"
) -> Iterator[tuple[Outcome, Sequence[Mismatch]]]:
    """Runs the cases one by one: the counts so far, and the mismatches of the last case.

    target: one of TARGETS.
    """
    import torch
    import transformers

    torch.set_num_threads(1)
    logging: Any = transformers.logging
    logging.set_verbosity_error()
    outcome = Outcome()
    for case in range(cases):
        rng = np.random.default_rng([seed, case])
        if case % CASES_PER_CHECKPOINT == 0:
            model = _make_checkpoint(folder / str(case), seed, case, family, target)
            summarizer = _export(folder / str(case), model.config.max_position_embeddings, target)
        vocab_size = summarizer.bundle.manifest.architecture.vocab_size
        options = _draw_options(rng, summarizer)
        sources = _random_sources(rng, vocab_size, summarizer)
        ours = summarizer.generate(sources, options)
        theirs = _ask_transformers(model, summarizer, sources, options)
        mismatches = _compare(outcome, ours, theirs, options, seed=seed, case=case)
        for document, own in enumerate(ours):
            if _score_error(own, theirs[document]) > SCORE_TOLERANCE:
                source, exact = sources[document], copy.deepcopy(model).double()
                judged = _ask_transformers(exact, summarizer, [source], options)[0]
                outcome.score_mismatches += _score_error(own, judged) > SCORE_TOLERANCE
        alone = [summarizer.generate([source], options)[0] for source in sources]
        outcome.batch_mismatches += sum(
            [x.token_ids for x in one] != [x.token_ids for x in batched]
            for one, batched in zip(alone, ours, strict=True)
        )
        outcome.cases += 1
        yield outcome, mismatches


def _make_checkpoint(folder: Path, seed: int, case: int, family: str, target: str) -> Any:
    """A random checkpoint of random shape, as a transformers model."""
    import transformers

    rng = np.random.default_rng([seed, case, 1])
    heads = rng.choice([1, 2, 3, 4], 2)
    config: dict[str, Any] = {
        "d_model": 12 * 2 * int(rng.integers(1, 4)),  # 1 to 4 heads divide it
        "encoder_layers": int(rng.integers(1, 5)),
        "decoder_layers": int(rng.integers(1, 4)),
        "encoder_attention_heads": int(heads[0]),
        "decoder_attention_heads": int(heads[1]),
        "encoder_ffn_dim": int(rng.integers(8, 80)),
        "decoder_ffn_dim": int(rng.integers(8, 80)),
        "max_position_embeddings": int(rng.integers(24, 100)),
        "activation_function": str(rng.choice(["relu", "gelu", "gelu_new", "silu"])),
        "scale_embedding": bool(rng.integers(2)),
        "tie_word_embeddings": bool(rng.random() < 0.8),
    }
    weights: Any = str(rng.choice(WEIGHTS))
    if family == "bigbird":
        weights = "safetensors"
        config |= _sparse_config(rng)
        if target == "trt":
            config |= _plugin_config(rng, config["encoder_attention_heads"])
    generation = {"eos_token_id": [1, 110]} if rng.random() < 0.2 else None
    write_tiny_checkpoint(
        folder / "checkpoint",
        architecture=ARCHITECTURES[family],
        seed=int(rng.integers(1 << 30)),
        weights=weights if config["tie_word_embeddings"] else "safetensors",
        sharpness=float(rng.choice([3.0, 4.0, 6.0])),
        generation=generation,
        **config,
    )
    library: Any = transformers
    model = getattr(library, ARCHITECTURES[family]).from_pretrained(
        folder / "checkpoint", dtype="float32"
    )
    return model.eval()


def _export(folder: Path, positions: int, target: str) -> Summarizer:
    """The loaded bundle of a checkpoint; of plans, the graphs, with the limits of target ort."""
    plans = PlanRequest()
    if target != "ort":
        plans = PlanRequest(
            num_beams=MAX_BEAMS,
            max_target_tokens=positions,
            max_batch=MAX_DOCUMENTS,
            onnx_only=True,
            # of kernels, not run here
            build=BuildRequest(compute_capabilities=("8.0",) if target == "trt" else None),
        )
    output = folder / "bundle"
    export_bundle(
        ExportRequest(model=str(folder / "checkpoint"), output=output, target=target, plans=plans)
    )
    return Summarizer.load(output, provider="cpu", threads=1)


def _sparse_config(rng: np.random.Generator) -> dict[str, Any]:
    """Blocks so small, and positions so many, that most documents are attended to sparsely."""
    block_size, num_random_blocks = int(rng.integers(1, 9)), int(rng.integers(1, 4))
    longest_full = (5 + 2 * num_random_blocks) * block_size
    return {
        "block_size": block_size,
        "num_random_blocks": num_random_blocks,
        "max_position_embeddings": 24 + 2 * longest_full + int(rng.integers(8 * block_size)),
        "use_bias": bool(rng.random() < 0.3),
    }


def _plugin_config(rng: np.random.Generator, heads: int) -> dict[str, Any]:
    """The smallest sizes that TensorRT's plugin has kernels for: that is what trt exports."""
    block_size, num_random_blocks = 16, int(rng.integers(1, 4))
    longest_full = (5 + 2 * num_random_blocks) * block_size
    return {
        "d_model": 32 * heads,
        "decoder_attention_heads": heads,
        "block_size": block_size,
        "num_random_blocks": num_random_blocks,
        "max_position_embeddings": 2 * longest_full + int(rng.integers(8 * block_size)),
    }


def _draw_options(rng: np.random.Generator, summarizer: Summarizer) -> GenerationOptions | None:
    """Options that the bundle accepts: drawn again where they contradict its defaults."""
    while True:
        options = _random_options(rng, summarizer.bundle.manifest.architecture.vocab_size)
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
        return replace(options, num_beams=1, num_return_sequences=None)
    if kind < 0.35:
        return replace(options, num_beams=int(rng.integers(9, MAX_BEAMS + 1)))
    return options


def _random_sources(
    rng: np.random.Generator, vocab_size: int, summarizer: Summarizer
) -> list[list[int]]:
    longest = summarizer.bundle.manifest.limits.max_source_tokens
    lengths = rng.integers(1, longest, int(rng.integers(1, MAX_DOCUMENTS + 1)))
    return [[*rng.integers(2, vocab_size, length).tolist(), 1] for length in lengths]


def _ask_transformers(
    model: Any,
    summarizer: Summarizer,
    sources: list[list[int]],
    options: GenerationOptions | None,
) -> list[list[tuple[tuple[int, ...], float]]]:
    eos = summarizer.bundle.manifest.token_ids.eos_token_ids
    asked = options or GenerationOptions()
    is_sparse = summarizer.bundle.manifest.architecture.attention_type == "block_sparse"
    one_by_one = is_sparse or asked.encoder_no_repeat_ngram_size
    found = []
    for batch in [[x] for x in sources] if one_by_one else [sources]:
        if is_sparse:
            model.get_encoder().set_attention_type("block_sparse")
        found.append(run_oracle(model, batch, asked, eos=eos))
    return [
        [(tokens, score) for tokens, score in document if not score < NO_SEQUENCE]
        for batch in found
        for document in batch
    ]


def _compare(
    outcome: Outcome,
    ours: list[list[Hypothesis]],
    theirs: list[list[tuple[tuple[int, ...], float]]],
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
        outcome.largest_score_error = max(outcome.largest_score_error, _score_error(own, other))
    return mismatches


def _score_error(own: list[Hypothesis], other: list[tuple[tuple[int, ...], float]]) -> float:
    """The largest among sequences that are the same; greedy search has no score in transformers."""
    return max(
        (
            abs(hypothesis.score - score) / max(1.0, abs(score))
            for hypothesis, (tokens, score) in zip(own, other, strict=False)
            if hypothesis.token_ids == tokens and not np.isnan(score)
        ),
        default=0.0,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=tuple(ARCHITECTURES), default="pegasus")
    parser.add_argument("--target", choices=TARGETS, default="ort", help="default: %(default)s")
    parser.add_argument("--cases", type=int, default=60, help="how many (default: 60)")
    parser.add_argument("--seed", type=int, default=7, help="of checkpoints and options")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts here")
    arguments = parser.parse_args()
    start, outcome = time.perf_counter(), Outcome()
    with tempfile.TemporaryDirectory() as folder:
        for outcome, mismatches in run_cases(
            arguments.cases,
            arguments.seed,
            Path(folder),
            family=arguments.model,
            target=arguments.target,
        ):
            for mismatch in mismatches:
                print(json.dumps(asdict(mismatch)), flush=True)
            if outcome.cases % CASES_PER_CHECKPOINT == 0:
                seconds = time.perf_counter() - start
                print(
                    f"{outcome.cases} of {arguments.cases} cases, "
                    f"{outcome.token_mismatches} mismatches, {seconds:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
    figures = asdict(outcome) | {"seconds": round(time.perf_counter() - start, 1)}
    for name, value in figures.items():
        print(f"{name:<26}{value:.2e}" if isinstance(value, float) else f"{name:<26}{value}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps(
                {"target": arguments.target, "model": arguments.model}
                | figures
                | {"machine": describe_machine(REPOSITORY)},
                indent=2,
            )
        )
    failed = outcome.token_mismatches or outcome.batch_mismatches or outcome.score_mismatches
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
