"""Runs an export by Optimum-Intel with OpenVINO for a benchmark; see protocol.py.

Beam search is transformers'. compute_type: the precision of activations, "f32", or "auto", which
leaves it to OpenVINO: bfloat16 where the processor has it, and keys and values in 8 bits.
"""

from __future__ import annotations

import os
import sys

from harness import protocol
from harness.workers.hugging_face_worker import prepare_generate


def import_engine() -> protocol.Load:
    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        # It takes what the processor has for what oneDNN has: products in bfloat16 or with rows
        # in 8 bits then fail, or compute nothing, and others go on in AVX-512.
        sys.exit("OpenVINO cannot be held to older instructions than the processor has")
    import torch
    from optimum.intel import OVModelForSeq2SeqLM

    def load(settings: protocol.WorkerSettings) -> protocol.Prepare:
        # Beam search's own work is small, and more threads of torch get in the way of OpenVINO's,
        # which do not sleep between steps: one document took ten times as long with two.
        torch.set_num_threads(1)
        config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
        config["INFERENCE_NUM_THREADS"] = str(settings.threads)
        if settings.compute_type == "f32":
            config["INFERENCE_PRECISION_HINT"] = "f32"
        model = OVModelForSeq2SeqLM.from_pretrained(settings.folder, device="CPU", ov_config=config)
        return prepare_generate(model, settings.device)

    return load


if __name__ == "__main__":
    packages = ("openvino", "optimum-intel", "transformers", "torch", "numpy")
    sys.exit(protocol.run_worker(import_engine, packages))
