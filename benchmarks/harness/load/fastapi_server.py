"""A plain server around CTranslate2, as FastAPI has it: a document a call, in its thread pool.

python -m harness.load.fastapi_server SETTINGS
"""

from __future__ import annotations

import json
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from harness.load.ctranslate2_model import CTranslate2Summarizer, PeerSettings
from harness.load.http_client import HOST


class Document(BaseModel):
    text: str


def make_app(summarizer: CTranslate2Summarizer) -> FastAPI:
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/predict")
    def predict(document: Document) -> dict[str, str]:
        return {"text": summarizer.summarize([document.text])[0]}

    return app


if __name__ == "__main__":
    settings = PeerSettings(**json.loads(sys.argv[1]))
    summarizer = CTranslate2Summarizer(settings, parallel_batches=settings.parallel_batches)
    app = make_app(summarizer)
    uvicorn.run(app, host=HOST, port=settings.port, log_level="warning", access_log=False)
