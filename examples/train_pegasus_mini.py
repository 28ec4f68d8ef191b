"""Trains the demo checkpoint ``checkpoints/pegasus-mini`` from scratch on generated wire reports.

Run in the folder of this file:  python train_pegasus_mini.py --minutes 54
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PegasusForConditionalGeneration

from muon import Muon
from pegasus_mini_checkpoint import build_model, save_checkpoint
from pegasus_mini_vocabulary import PAD_ID, Vocabulary, train_pieces
from wire_reports import HELD_OUT_SEEDS, TRAIN_SEEDS, generate_report

HERE = Path(__file__).resolve().parent
CHECKPOINT = HERE / "checkpoints" / "pegasus-mini"
N_PIECES = 4000  # at most: the reports have words for about 1950
REPORTS_PER_SHUFFLE = 1024
VALIDATION_SEEDS = HELD_OUT_SEEDS[50_000:50_128]  # the figures in the README use other seeds
# (share of the time after which a stage ends, longest report in sentences)
CURRICULUM = ((0.10, 6), (0.25, 12), (1.0, 25))
IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a training run depends on."""

    seed: int
    minutes: float
    layers: tuple[int, int]  # encoder, decoder
    d_model: int
    heads: int
    batch_tokens: int
    muon_lr: float
    adam_lr: float
    threads: int
    log: Path
    checkpoint: Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Padded reports; B reports, S source and T target tokens."""

    source: Tensor  # [B, S] int64
    source_mask: Tensor  # [B, S] int64
    labels: Tensor  # [B, T] int64, IGNORED where padded


def collate(pairs: list[tuple[list[int], list[int]]]) -> Batch:
    """Pads the (source, target) ids of some reports."""

    def pad(rows: list[list[int]], filler: int) -> Tensor:
        width = max(map(len, rows))
        return torch.tensor([row + [filler] * (width - len(row)) for row in rows])

    source = pad([source for source, _ in pairs], PAD_ID)
    labels = pad([target for _, target in pairs], IGNORED)
    return Batch(source=source, source_mask=(source != PAD_ID).long(), labels=labels)


def batches_of_seeds(
    seeds: range, vocabulary: Vocabulary, batch_tokens: int, max_sentences: int
) -> list[Batch]:
    """Reports of similar length together, at most ``batch_tokens`` source tokens a batch."""
    pairs = []
    for seed in seeds:
        report = generate_report(seed, max_sentences)
        pairs.append((vocabulary.encode(report.document), vocabulary.encode(report.summary)))
    pairs.sort(key=lambda pair: len(pair[0]))
    batches: list[Batch] = []
    rows: list[tuple[list[int], list[int]]] = []
    for pair in pairs:
        if rows and (len(rows) + 1) * len(pair[0]) > batch_tokens:
            batches.append(collate(rows))
            rows = []
        rows.append(pair)
    batches.append(collate(rows))
    return batches


def training_batches(
    vocabulary: Vocabulary, settings: Settings, started_s: float
) -> Iterator[tuple[float, Batch]]:
    """(share of the time used, batch) until the time is used up; no report comes twice."""
    order = random.Random(settings.seed)
    first = settings.seed * 1_000_000
    while True:
        share = (time.monotonic() - started_s) / (settings.minutes * 60)
        max_sentences = next((n for until, n in CURRICULUM if share < until), 25)
        seeds = TRAIN_SEEDS[first : first + REPORTS_PER_SHUFFLE]
        first += REPORTS_PER_SHUFFLE
        batches = batches_of_seeds(seeds, vocabulary, settings.batch_tokens, max_sentences)
        order.shuffle(batches)
        for batch in batches:
            share = (time.monotonic() - started_s) / (settings.minutes * 60)
            if share >= 1:
                return
            yield share, batch


def summary_logits(model: PegasusForConditionalGeneration, batch: Batch) -> Tensor:
    """Teacher-forced logits [B, T, V]."""
    start = torch.zeros_like(batch.labels[:, :1])
    inputs = torch.cat([start, batch.labels[:, :-1].clamp_min(PAD_ID)], dim=1)
    output = model(
        input_ids=batch.source,
        attention_mask=batch.source_mask,
        decoder_input_ids=inputs,
        use_cache=False,
    )
    logits: Tensor = output.logits
    return logits


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy over the tokens that count."""
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


@torch.no_grad()
def validate(model: PegasusForConditionalGeneration, batches: list[Batch]) -> tuple[float, float]:
    """(mean token loss, share of summaries with every token right), teacher-forced."""
    model.train(False)
    loss = n_tokens = n_right = n_summaries = 0.0
    for batch in batches:
        logits = summary_logits(model, batch)
        counted = batch.labels != IGNORED
        loss += float(token_loss(logits, batch.labels)) * int(counted.sum())
        n_tokens += int(counted.sum())
        right = (logits.argmax(-1) == batch.labels) | ~counted
        n_right += int(right.all(dim=1).sum())
        n_summaries += len(right)
    model.train()
    return loss / n_tokens, n_right / n_summaries


def learning_rate_factor(share: float, step: int, warmup_steps: int = 100) -> float:
    """Linear warm-up, then level, then linear decay to 2% over the last 60% of the time."""
    decay = min(1.0, (1.0 - share) / 0.6)
    return min(1.0, (step + 1) / warmup_steps) * max(decay, 0.02)


def build_optimizers(
    model: PegasusForConditionalGeneration, settings: Settings
) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices, AdamW for the rest."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            is_matrix = weight.ndim == 2 and "shared" not in name and "lm_head" not in name
            (matrices if is_matrix else others).append(weight)
    if settings.muon_lr == 0:
        others, matrices = others + matrices, []
    adam = torch.optim.AdamW(
        others, lr=settings.adam_lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True
    )
    for group in adam.param_groups:
        group["peak_lr"] = settings.adam_lr
    if not matrices:
        return [adam]
    muon = Muon(matrices, lr=settings.muon_lr)
    for group in muon.param_groups:
        group["peak_lr"] = settings.muon_lr
    return [muon, adam]


def train_step(
    model: PegasusForConditionalGeneration,
    optimizers: list[torch.optim.Optimizer],
    batch: Batch,
    rate: float,
) -> float:
    """One update; returns the loss."""
    loss = token_loss(summary_logits(model, batch), batch.labels)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def train(settings: Settings) -> None:
    """Trains within the time, logs every 50 steps, saves at each validation and at the end."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    settings.checkpoint.mkdir(parents=True, exist_ok=True)
    spiece_model = settings.checkpoint / "spiece.model"
    spiece_model.write_bytes(train_pieces(n_reports=6000, n_pieces=N_PIECES))
    vocabulary = Vocabulary(spiece_model)
    model = build_model(len(vocabulary), settings.layers, settings.d_model, settings.heads)
    model.train()
    optimizers = build_optimizers(model, settings)
    validation = batches_of_seeds(VALIDATION_SEEDS, vocabulary, 8000, 25)
    settings.log.write_text("")
    started_s = time.monotonic()
    losses: list[float] = []
    for step, (share, batch) in enumerate(training_batches(vocabulary, settings, started_s)):
        rate = learning_rate_factor(share, step)
        losses.append(train_step(model, optimizers, batch, rate))
        if step % 50 == 49:
            record: dict[str, float] = {
                "step": step + 1,
                "seconds": round(time.monotonic() - started_s, 1),
                "loss": round(sum(losses) / len(losses), 4),
            }
            losses = []
            if step % 500 == 499:
                loss, exact = validate(model, validation)
                record |= {"validation_loss": round(loss, 4), "validation_exact": round(exact, 4)}
                save_checkpoint(model, settings.checkpoint)
            with settings.log.open("a") as log:
                log.write(json.dumps(record) + "\n")
    save_checkpoint(model, settings.checkpoint)


def parse_settings() -> Settings:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=54.0, help="training time")
    parser.add_argument("--layers", type=int, nargs=2, default=(3, 2))
    parser.add_argument("--d-model", type=int, default=192)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--batch-tokens", type=int, default=3000)
    parser.add_argument("--muon-lr", type=float, default=0.005)
    parser.add_argument("--adam-lr", type=float, default=0.002)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", type=Path, default=HERE / "pegasus_mini_log.jsonl")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    arguments = vars(parser.parse_args())
    arguments["layers"] = tuple(arguments["layers"])
    return Settings(**arguments)


if __name__ == "__main__":
    train(parse_settings())
