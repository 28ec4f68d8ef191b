"""The summarizer without a server: all documents in one call, or one after the other.

python -m harness.load.offline_worker BUNDLE THREADS
reads {"texts": [...], "parameters": {...}, "together": true} a line
"""

from __future__ import annotations

import json
import os
import sys
import time

from pegasus_runtime import GenerationOptions, Summarizer


def main() -> int:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with Summarizer.load(sys.argv[1], threads=int(sys.argv[2])) as summarizer:
        for line in sys.stdin:
            asked = json.loads(line)
            options, texts = GenerationOptions(**asked["parameters"]), asked["texts"]
            start = time.perf_counter()
            if asked["together"]:
                found = summarizer.summarize(texts, options)
            else:
                found = [summarizer.summarize(text, options) for text in texts]
            seconds = time.perf_counter() - start
            answer = {"seconds": seconds, "texts": [each.text for each in found]}
            print(json.dumps(answer), file=replies, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
