"""LitServe around CTranslate2: it gathers requests into batches, as its documentation has it.

python -m harness.load.litserve_server SETTINGS      in the environment of benchmarks/peers.py
"""

from __future__ import annotations

import json
import sys

import litserve

from harness.load.ctranslate2_model import CTranslate2Summarizer, PeerSettings
from harness.load.http_client import HOST


class SummarizeAPI(litserve.LitAPI):
    """What LitServe runs, in a process of its own: so all that it needs goes with the object."""

    def __init__(self, settings: PeerSettings) -> None:
        super().__init__(
            max_batch_size=settings.max_batch_size, batch_timeout=settings.batch_timeout_s
        )
        self.settings = settings

    def setup(self, device: str) -> None:
        self.summarizer = CTranslate2Summarizer(self.settings)

    def decode_request(self, request: dict[str, str]) -> str:
        return request["text"]

    def predict(self, inputs: str | list[str]) -> str | list[str]:
        if isinstance(inputs, str):
            return self.summarizer.summarize([inputs])[0]
        return self.summarizer.summarize(inputs)

    def encode_response(self, output: str) -> dict[str, str]:
        return {"text": output}


if __name__ == "__main__":
    settings = PeerSettings(**json.loads(sys.argv[1]))
    server = litserve.LitServer(
        SummarizeAPI(settings),
        accelerator="cpu",
        workers_per_device=settings.parallel_batches,
        timeout=False,
    )
    server.run(host=HOST, port=settings.port, generate_client_file=False, log_level="warning")
