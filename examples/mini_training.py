"""What the training of both demo checkpoints has in common: batches, loss, optimisers, the loop.

Dimensions: B reports, S source tokens, T target tokens, V vocabulary.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from muon import Muon
from pegasus_mini_vocabulary import PAD_ID, Vocabulary
from wire_reports import TRAIN_SEEDS, Report

__all__ = [
    "Batch",
    "Curriculum",
    "Learner",
    "batches_of_seeds",
    "make_optimizers",
    "train",
    "training_batches",
]

IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Padded reports."""

    source: Tensor  # [B, S] int64
    source_mask: Tensor  # [B, S] int64
    labels: Tensor  # [B, T] int64, IGNORED where padded

    def decoder_inputs(self, start_id: int) -> Tensor:
        """What the decoder reads to give the labels, [B, T] int64."""
        start = torch.full_like(self.labels[:, :1], start_id)
        return torch.cat([start, self.labels[:, :-1].clamp_min(PAD_ID)], dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curriculum:
    """Which reports are read when."""

    make_report: Callable[[int, int], Report]
    """(seed, longest in sentences) -> report."""
    stages: tuple[tuple[float, int], ...]
    """(share of the time after which a stage ends, longest report in sentences), the last to 1."""
    reports_per_shuffle: int

    def longest(self, share: float) -> int:
        """Longest report, in sentences, after a share of the time."""
        return next((n for until, n in self.stages if share < until), self.stages[-1][1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learner:
    """A model being trained."""

    model: nn.Module
    logits: Callable[[Batch], Tensor]
    """Teacher-forced, [B, T, V]."""
    optimizers: Sequence[torch.optim.Optimizer]
    """Each group has its own peak_lr."""
    save: Callable[[], object]

    def step(self, batch: Batch, rate: float) -> float:
        """One update; returns the loss."""
        loss = token_loss(self.logits(batch), batch.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    @torch.no_grad()
    def validate(self, batches: Sequence[Batch]) -> tuple[float, float]:
        """(mean token loss, share of summaries with every token right), teacher-forced."""
        self.model.train(False)
        loss = n_tokens = n_right = n_summaries = 0.0
        for batch in batches:
            logits = self.logits(batch)
            counted = batch.labels != IGNORED
            loss += float(token_loss(logits, batch.labels)) * int(counted.sum())
            n_tokens += int(counted.sum())
            right = (logits.argmax(-1) == batch.labels) | ~counted
            n_right += int(right.all(dim=1).sum())
            n_summaries += len(right)
        self.model.train()
        return loss / n_tokens, n_right / n_summaries


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy over the tokens that count."""
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


def collate(pairs: Sequence[tuple[list[int], list[int]]]) -> Batch:
    """Pads the (source, target) ids of some reports."""

    def pad(rows: Sequence[list[int]], filler: int) -> Tensor:
        width = max(map(len, rows))
        return torch.tensor([row + [filler] * (width - len(row)) for row in rows])

    source = pad([source for source, _ in pairs], PAD_ID)
    labels = pad([target for _, target in pairs], IGNORED)
    return Batch(source=source, source_mask=(source != PAD_ID).long(), labels=labels)


def batches_of_seeds(
    seeds: range, vocabulary: Vocabulary, curriculum: Curriculum, batch_tokens: int, longest: int
) -> list[Batch]:
    """Reports of similar length together, at most ``batch_tokens`` source tokens a batch."""
    pairs = []
    for seed in seeds:
        report = curriculum.make_report(seed, longest)
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


def make_optimizers(
    matrices: Sequence[Tensor], others: Sequence[Tensor], *, muon_lr: float, adam_lr: float
) -> list[torch.optim.Optimizer]:
    """Muon for weight matrices, AdamW for the rest; a muon_lr of 0 leaves all to AdamW."""
    if muon_lr == 0:
        matrices, others = [], [*others, *matrices]
    adam = torch.optim.AdamW(
        list(others), lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True
    )
    optimizers: list[torch.optim.Optimizer] = [adam]
    if matrices:
        optimizers.insert(0, Muon(list(matrices), lr=muon_lr))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def learning_rate_factor(share: float, step: int, warmup_steps: int = 100) -> float:
    """Linear warm-up, then level, then linear decay to 2% over the last 60% of the time."""
    decay = min(1.0, (1.0 - share) / 0.6)
    return min(1.0, (step + 1) / warmup_steps) * max(decay, 0.02)


def training_batches(
    vocabulary: Vocabulary,
    curriculum: Curriculum,
    *,
    seed: int,
    minutes: float,
    batch_tokens: int,
    started_s: float,
) -> Iterator[tuple[float, Batch]]:
    """(share of the time used, batch) until the time is used up; no report comes twice."""
    order = random.Random(seed)
    first = seed * 1_000_000
    while True:
        longest = curriculum.longest((time.monotonic() - started_s) / (minutes * 60))
        seeds = TRAIN_SEEDS[first : first + curriculum.reports_per_shuffle]
        first += curriculum.reports_per_shuffle
        batches = batches_of_seeds(seeds, vocabulary, curriculum, batch_tokens, longest)
        order.shuffle(batches)
        for batch in batches:
            share = (time.monotonic() - started_s) / (minutes * 60)
            if share >= 1:
                return
            yield share, batch


def train(
    learner: Learner,
    batches: Iterator[tuple[float, Batch]],
    validation: Sequence[Batch],
    *,
    started_s: float,
    log: Path,
    steps_per_record: int,
) -> None:
    """Trains on all batches; every tenth record validates and saves, and so does the end."""
    log.write_text("")
    losses: list[float] = []
    for step, (share, batch) in enumerate(batches, 1):
        losses.append(learner.step(batch, learning_rate_factor(share, step - 1)))
        if step % steps_per_record:
            continue
        record: dict[str, float] = {
            "step": step,
            "seconds": round(time.monotonic() - started_s, 1),
            "loss": round(sum(losses) / len(losses), 4),
        }
        losses = []
        if step % (10 * steps_per_record) == 0:
            loss, exact = learner.validate(validation)
            record |= {"validation_loss": round(loss, 4), "validation_exact": round(exact, 4)}
            learner.save()
        with log.open("a") as file:
            file.write(json.dumps(record) + "\n")
    learner.save()
