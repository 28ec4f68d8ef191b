"""Draws ``X_loss.png`` from ``X_log.jsonl``, the log of a training run.

Run in the folder of this file:  python plot_loss.py pegasus_mini
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent


def draw_loss(log: Path, picture: Path, title: str) -> None:
    """Training loss, validation loss and validation exact match over the steps."""
    records = [json.loads(line) for line in log.read_text().splitlines()]
    validated = [record for record in records if "validation_loss" in record]
    figure, loss_axis = plt.subplots(figsize=(8, 4.5), dpi=110)
    loss_axis.plot(
        [record["step"] for record in records],
        [record["loss"] for record in records],
        color="tab:blue", linewidth=1, label="training loss (mean since the last point)",
    )  # fmt: skip
    steps = [record["step"] for record in validated]
    loss_axis.plot(
        steps, [record["validation_loss"] for record in validated],
        "o-", color="tab:red", markersize=4, label="validation loss",
    )  # fmt: skip
    loss_axis.set(xlabel="step", ylabel="cross entropy per token (nats)", yscale="log")
    exact_axis = loss_axis.twinx()
    exact_axis.plot(
        steps, [record["validation_exact"] for record in validated],
        "s--", color="tab:green", markersize=4, label="validation summaries exact (teacher-forced)",
    )  # fmt: skip
    exact_axis.set(ylabel="share of summaries", ylim=(0, 1))
    loss_axis.set_title(title)
    loss_axis.grid(alpha=0.3)
    lines = [*loss_axis.get_lines(), *exact_axis.get_lines()]
    labels = [str(line.get_label()) for line in lines]
    figure.legend(lines, labels, loc="lower center", ncols=3, fontsize=8)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("pegasus_mini", "bigbird_mini"))
    name = parser.parse_args().name
    title = f"{name.replace('_', '-')}: training on generated wire reports"
    draw_loss(HERE / f"{name}_log.jsonl", HERE / f"{name}_loss.png", title)
