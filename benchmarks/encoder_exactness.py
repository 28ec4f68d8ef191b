"""How far are the encoder's outputs from transformers', at every length that matters?

For blocks of 16, 32 and 64 tokens and 1, 2 and 3 random blocks, a small random BigBirdPegasusModel
with 4096 positions is exported to both targets, and the encoder's last hidden states (of about unit
variance) are held against transformers' in fp32, whose attention is set to block_sparse anew before
each input. Lengths are around one block, around the length from which attention is sparse, and
around multiples of the block up to the last position; some batches are of unequal lengths. Where
there is padding, nothing is compared: no later layer sees it.

The scores of the attention have about unit variance. With the tests' checkpoints, in which they
have 81 times as much, transformers in fp32 is itself up to 5e-5 from float64 (and so are we): the
tests judge by float64 there.

    python benchmarks/encoder_exactness.py --json encoder_exactness.json      # published figures
    python benchmarks/encoder_exactness.py --block-sizes 16 --random-blocks 1 # does it work?
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

from benchmark_arguments import parse_numbers
from measure import describe_machine
from peers import REPOSITORY
from ratio_table import format_columns

sys.path.insert(0, str(REPOSITORY / "tests"))

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_engines.ort import run_graph
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime.bundle import Bundle, open_bundle

ARCHITECTURE = "BigBirdPegasusModel"
TARGETS = ("ort", "onnx")
LIMIT = 2e-5
LENGTHS = (1, 63, 64, 65, 703, 704, 705, 768, 1000, 1024, 1025, 2048, 3072, 4000, 4096)
BATCHES = ((64, 1, 40), (700, 705, 9), (1025, 64, 1000), (2100, 2048, 350, 3))


def write_checkpoint(folder: Path, *, block_size: int, num_random_blocks: int) -> Path:
    """The tests' random checkpoint, but for the sharpness of its encoder's attention."""
    write_tiny_checkpoint(
        folder,
        architecture=ARCHITECTURE,
        block_size=block_size,
        num_random_blocks=num_random_blocks,
        max_position_embeddings=4096,
    )
    weights = load_file(folder / "model.safetensors")
    sharp = [name for name in weights if name.endswith(("self.query.weight", "self.key.weight"))]
    assert sharp
    for name in sharp:
        weights[name] /= 3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def padded_batch(lengths: Sequence[int], vocab_size: int) -> dict[str, torch.Tensor]:
    """Random documents of these lengths, and one token for the decoder."""
    input_ids = torch.randint(2, vocab_size, (len(lengths), max(lengths)))
    mask = torch.ones_like(input_ids)
    for row, length in enumerate(lengths):
        input_ids[row, length:] = 0
        mask[row, length:] = 0
    start = torch.zeros(len(lengths), 1, dtype=torch.int64)
    return {"input_ids": input_ids, "attention_mask": mask, "decoder_input_ids": start}


@torch.no_grad()
def ask_transformers(model: Any, feeds: dict[str, torch.Tensor]) -> torch.Tensor:
    """The encoder's last hidden states [B, S, D]."""
    encoder = model.get_encoder()
    encoder.set_attention_type("block_sparse")  # after a short input it stays full
    inputs = {name: feeds[name] for name in ("input_ids", "attention_mask")}
    hidden: torch.Tensor = encoder(**inputs).last_hidden_state
    return hidden


def differences(
    model: Any, bundles: dict[str, Bundle], batches: Sequence[Sequence[int]]
) -> Iterator[tuple[str, Sequence[int], float]]:
    """(target, lengths, largest absolute difference at a token)."""
    for lengths in batches:
        feeds = padded_batch(lengths, model.config.vocab_size)
        expected = ask_transformers(model, feeds).numpy()
        tokens = feeds["attention_mask"].numpy().astype(bool)
        std = float(expected[tokens].std())
        if not 0.5 < std < 2:
            raise SystemExit(f"error: the outputs' standard deviation is {std:.2f}, not about 1")
        for target, bundle in bundles.items():
            outputs = run_graph(bundle, "model", {name: x.numpy() for name, x in feeds.items()})
            got = outputs["encoder_last_hidden_state"]
            yield target, lengths, float(np.abs(got - expected)[tokens].max())


def main(argv: Sequence[str] | None = None) -> int:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--block-sizes", type=parse_numbers, default=(16, 32, 64), help="default: 16,32,64")
    add("--random-blocks", type=parse_numbers, default=(1, 2, 3), help="default: 1,2,3")
    add("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    arguments = parser.parse_args(argv)
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    rows = [("block size", "random blocks", *TARGETS)]
    records = []
    for block_size in arguments.block_sizes:
        for number in arguments.random_blocks:
            sparse_from = (5 + 2 * number) * block_size + 1
            lengths = {*LENGTHS, block_size, sparse_from - 1, sparse_from}
            with tempfile.TemporaryDirectory() as folder:
                checkpoint = write_checkpoint(
                    Path(folder) / "checkpoint", block_size=block_size, num_random_blocks=number
                )
                bundles = {}
                for target in TARGETS:
                    output = Path(folder) / target
                    export_bundle(
                        ExportRequest(model=str(checkpoint), output=output, target=target)
                    )
                    bundles[target] = open_bundle(output)
                model = transformers.BigBirdPegasusModel.from_pretrained(checkpoint)
                batches = [*([length] for length in sorted(lengths)), *BATCHES]
                found = list(differences(model, bundles, batches))
            worst = {t: max(x for target, _, x in found if target == t) for t in TARGETS}
            rows.append((str(block_size), str(number), *(f"{worst[t]:.1e}" for t in TARGETS)))
            print(f"blocks of {block_size}, {number} random: {worst}", file=sys.stderr, flush=True)
            records += [
                {
                    "block_size": block_size,
                    "num_random_blocks": number,
                    "target": target,
                    "lengths": list(lengths),
                    "largest_difference": difference,
                }
                for target, lengths, difference in found
            ]
    largest = max(float(str(record["largest_difference"])) for record in records)
    print(f"largest difference at a token\n{format_columns(rows)}\n\nof all: {largest:.1e}")
    if arguments.json:
        content = {"machine": describe_machine(REPOSITORY), "differences": records}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    return int(largest > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
