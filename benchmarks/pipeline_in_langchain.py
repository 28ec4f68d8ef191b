"""Does LangChain's wrapper take our pipeline in the place of transformers'?

Exports pegasus-mini, and has langchain-huggingface's `HuggingFacePipeline` summarise wire reports
with either pipeline, by its own methods (`invoke`, `batch`, and a chain with a prompt before and a
parser behind), in an environment of its own, which `python benchmarks/peers.py langchain` sets up.
It prints the summaries, and fails where they differ. Ten seconds.

    python benchmarks/pipeline_in_langchain.py
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CHECKPOINT = REPOSITORY / "examples" / "checkpoints" / "pegasus-mini"

SUMMARIZE = """
import json, sys
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate
from langchain_huggingface import HuggingFacePipeline

which, model, texts = json.load(sys.stdin)
if which == "ours":
    from pegasus_runtime import pipeline
    pipe = pipeline("summarization", model=model, max_length=40)
    assert "torch" not in sys.modules
else:
    from transformers import pipeline
    pipe = pipeline("summarization", model=model, max_length=40, dtype="float32")
llm = HuggingFacePipeline(pipeline=pipe, model_id=model)
chain = PromptTemplate.from_template("{report}") | llm | StrOutputParser()
options = {"pipeline_kwargs": {"num_beams": 2, "min_length": 12}}
answers = {
    "invoke": llm.invoke(texts[0]),
    "batch": llm.batch(texts),
    "options": llm.invoke(texts[1], **options),
    "chain": chain.invoke({"report": texts[2]}),
}
print("answers: " + json.dumps(answers))
"""


def summarize(python: Path, which: str, model: Path, texts: list[str]) -> dict[str, object]:
    """What the wrapper answers, by its method."""
    paths = [str(REPOSITORY / name) for name in ("runtime", "plugins")]
    result = subprocess.run(
        [python, "-c", SUMMARIZE],
        input=json.dumps([which, str(model), texts]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    line = next(each for each in result.stdout.splitlines() if each.startswith("answers: "))
    answers: dict[str, object] = json.loads(line.removeprefix("answers: "))
    return answers


def main() -> int:
    sys.path.insert(0, str(REPOSITORY / "examples"))
    from peers import ensure_peer
    from pegasus_export.stages.export import ExportRequest, export_bundle
    from wire_reports import HELD_OUT_SEEDS, generate_report

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=5, metavar="N")
    arguments = parser.parse_args()
    texts = [generate_report(seed).document for seed in HELD_OUT_SEEDS[: max(3, arguments.texts)]]
    python = ensure_peer("langchain").python
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "mini"
        export_bundle(ExportRequest(model=str(CHECKPOINT), output=bundle))
        ours = summarize(python, "ours", bundle, texts)
    theirs = summarize(python, "transformers", CHECKPOINT, texts)
    for name, answer in ours.items():
        same = "as transformers'" if answer == theirs[name] else f"transformers': {theirs[name]}"
        print(f"{name}: {answer} ({same})")
    return 0 if ours == theirs else 1


if __name__ == "__main__":
    sys.exit(main())
