"""README.md of a bundle, in the form of the Hugging Face hub's model cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pegasus_engines.command.report import format_size
from pegasus_runtime.bundle import Manifest, Task
from pegasus_runtime.hub.address import HUB_NAME
from pegasus_runtime.version import __version__

__all__ = ["CARD", "model_card"]

CARD = "README.md"
_MEASURED = ("error", "tolerance")
_OPTIMUM: Mapping[Task, str] = {
    "summarization": "ORTModelForSeq2SeqLM",
    "text-generation": "ORTModelForCausalLM",
    "text-classification": "ORTModelForSequenceClassification",
    "question-answering": "ORTModelForQuestionAnswering",
}
_COMMANDS = {
    "summarization": "pegasus-summarize {repo} article.txt",
    "text-classification": "pegasus-classify {repo} article.txt",
    "feature-extraction": "pegasus-features {repo} article.txt --output article.npz",
    "text-generation": 'pegasus-generate {repo} "Once upon a time"',
    "question-answering": 'pegasus-answer {repo} "Who was hurt?" article.txt',
}


def model_card(manifest: Manifest, name: str) -> str:
    """Markdown, behind the fields that the hub reads. name: of the repository, or of the folder."""
    from huggingface_hub import ModelCardData

    source = manifest.source.name
    data = ModelCardData(
        library_name="pegasus-edge",
        pipeline_tag=manifest.task,  # the hub calls them so, too
        base_model=source if HUB_NAME.fullmatch(source) else None,
        tags=["pegasus", "onnx", manifest.target, manifest.precision],
    )
    size = format_size(sum(record.bytes for record in manifest.files.values()))
    made_of = f"`{source}`" if HUB_NAME.fullmatch(source) else "A checkpoint"
    lines = [
        "---",
        data.to_yaml().strip(),
        "---",
        "",
        f"# {name.rpartition('/')[2]}",
        "",
        f"{made_of}, exported by pegasus-edge {__version__} for {manifest.task}: "
        f"target `{manifest.target}`, {manifest.precision}, {size}. It runs without PyTorch.",
        "",
        *_usage(manifest, name),
        *_checks(manifest),
        "## Licence",
        "",
        "That of the checkpoint's weights: add it to this card.",
    ]
    return "\n".join(lines) + "\n"


def _usage(manifest: Manifest, name: str) -> list[str]:
    if manifest.target == "onnx":
        return _usage_by_others(manifest, name)
    command = _COMMANDS.get(manifest.task)
    if command is None or manifest.target != "ort":
        return []
    return [
        "## Use",
        "",
        "```console",
        "$ pip install 'pegasus-edge[cpu,hub]'",
        f"$ {command.format(repo=name)}",
        "```",
        "",
    ]


def _usage_by_others(manifest: Manifest, name: str) -> list[str]:
    contract = (
        "`contract.md` has every tensor, the token ids and a loop, for clients of your own, and "
        "`test_vectors.json` what they have to give."
    )
    language, code = "", list[str]()
    if _in_browsers(manifest):
        language = "js"
        code = [
            'import { pipeline } from "@huggingface/transformers";',
            f'const summarize = await pipeline("summarization", "{name}");',
            'const [{ summary_text }] = await summarize("text …", { max_new_tokens: 64 });',
        ]
    elif (loader := _OPTIMUM.get(manifest.task)) is not None:
        language = "python"
        code = [
            f"from optimum.onnxruntime import {loader}",
            f'model = {loader}.from_pretrained("{name}")',
        ]
    shown = [f"```{language}", *code, "```", ""] if code else []
    return ["## Use", "", *shown, contract, ""]


def _in_browsers(manifest: Manifest) -> bool:
    return any(graph.file.startswith("onnx/") for graph in manifest.graphs.values())


def _checks(manifest: Manifest) -> list[str]:
    """What the export measured, graph by graph."""
    rows = [
        f"| {name} | {figures['error']:.1e} | {figures['tolerance']:.1e} |"
        for name, figures in manifest.verification.items()
        if isinstance(figures, dict) and _are_numbers(figures.get(each) for each in _MEASURED)
    ]
    if not rows:
        return []
    head = ["## Checked against the checkpoint", "", "| graph | largest error | allowed |"]
    return [*head, "|---|---|---|", *rows, ""]


def _are_numbers(values: Iterable[object]) -> bool:
    """The manifest's reader takes anything there."""
    return all(isinstance(value, int | float) for value in values)
