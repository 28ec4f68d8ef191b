"""Summarises documents and prints tokens, seconds and the engine as JSON: on either processor.

python summarize.py BUNDLE FILE ...
"""

import json
import platform
import sys
import time
from pathlib import Path

from pegasus_runtime import Summarizer

if __name__ == "__main__":
    bundle, *files = sys.argv[1:]
    documents = [Path(file).read_text("utf-8") for file in files]
    with Summarizer.load(bundle, threads=1) as summarizer:
        begun = time.perf_counter()
        summaries = summarizer.summarize(documents, long="truncate")
        record = {
            "machine": platform.machine(),
            "engine": summarizer.engine,
            "seconds": round(time.perf_counter() - begun, 1),
            "tokens": [summary.token_ids for summary in summaries],
        }
    print(json.dumps(record))
