"""Trains the demo checkpoint ``checkpoints/pegasus-mini`` from scratch on generated wire reports.

Run in the folder of this file:  python train_pegasus_mini.py --minutes 54
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PegasusForConditionalGeneration

from mini_training import (
    Batch,
    Curriculum,
    Learner,
    batches_of_seeds,
    make_optimizers,
    train,
    training_batches,
)
from pegasus_mini_checkpoint import build_model, save_checkpoint
from pegasus_mini_vocabulary import Vocabulary, train_pieces
from wire_reports import HELD_OUT_SEEDS, generate_report

HERE = Path(__file__).resolve().parent
CHECKPOINT = HERE / "checkpoints" / "pegasus-mini"
N_PIECES = 4000  # at most: the reports have words for about 1950
START_ID = 0
VALIDATION_SEEDS = HELD_OUT_SEEDS[50_000:50_128]  # the figures in the README use other seeds
CURRICULUM = Curriculum(
    make_report=generate_report,
    stages=((0.10, 6), (0.25, 12), (1.0, 25)),
    reports_per_shuffle=1024,
)


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


def summary_logits(model: PegasusForConditionalGeneration, batch: Batch) -> Tensor:
    """Teacher-forced logits [B, T, V]."""
    output = model(
        input_ids=batch.source,
        attention_mask=batch.source_mask,
        decoder_input_ids=batch.decoder_inputs(START_ID),
        use_cache=False,
    )
    logits: Tensor = output.logits
    return logits


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
    return make_optimizers(matrices, others, muon_lr=settings.muon_lr, adam_lr=settings.adam_lr)


def train_checkpoint(settings: Settings) -> None:
    """Trains within the time, logs every 50 steps, saves at each validation and at the end."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    settings.checkpoint.mkdir(parents=True, exist_ok=True)
    spiece_model = settings.checkpoint / "spiece.model"
    spiece_model.write_bytes(train_pieces(n_reports=6000, n_pieces=N_PIECES))
    vocabulary = Vocabulary(spiece_model)
    model = build_model(len(vocabulary), settings.layers, settings.d_model, settings.heads)
    model.train()
    learner = Learner(
        model=model,
        logits=lambda batch: summary_logits(model, batch),
        optimizers=build_optimizers(model, settings),
        save=lambda: save_checkpoint(model, settings.checkpoint),
    )
    validation = batches_of_seeds(VALIDATION_SEEDS, vocabulary, CURRICULUM, 8000, 25)
    started_s = time.monotonic()
    batches = training_batches(
        vocabulary,
        CURRICULUM,
        seed=settings.seed,
        minutes=settings.minutes,
        batch_tokens=settings.batch_tokens,
        started_s=started_s,
    )
    train(learner, batches, validation, started_s=started_s, log=settings.log, steps_per_record=50)


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
    train_checkpoint(parse_settings())
