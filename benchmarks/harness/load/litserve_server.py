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
    """settings: those of the server; set before it runs."""

    settings: PeerSettings

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
    SummarizeAPI.settings = settings
    api = SummarizeAPI(
        max_batch_size=settings.max_batch_size, batch_timeout=settings.batch_timeout_s
    )
    server = litserve.LitServer(api, accelerator="cpu", timeout=False)
    server.run(host=HOST, port=settings.port, generate_client_file=False, log_level="warning")
