"""Our pipelines against transformers 4.57's, the last that had them all, call by call.

Theirs run in Optimum's environment. They are given fp32 (they would take a checkpoint's fp16), of
BigBirdPegasus the tokenizer that published checkpoints have (of a vocabulary alone, 4.57 makes one
whose ids are all one too high), and an encoder that goes back to block-sparse attention for each
text (theirs stays with full attention from the first short text on).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from e2e.optimum_process import AskOptimum
from e2e.pipelines.cases import GENERATING, OTHERS, Case, generating_cases, wire_texts
from pegasus_runtime import pipeline

if TYPE_CHECKING:
    from made_once import MadeOnce

CHECKPOINTS = Path(__file__).parents[2] / "examples" / "checkpoints"
PEER = """
import torch, transformers
torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
task, folder, constructor, calls = request
config = transformers.AutoConfig.from_pretrained(folder)
is_bigbird = config.model_type == "bigbird_pegasus"
tokenizer = transformers.AutoTokenizer.from_pretrained(
    folder, **({"mask_token_sent": None} if is_bigbird else {})
)
if is_bigbird:
    tokenizer.add_special_tokens({"bos_token": "<s>"})
tokenizer.model_max_length = config.max_position_embeddings
pipe = transformers.pipeline(
    task, model=folder, tokenizer=tokenizer, device=-1, dtype=torch.float32, **constructor
)
if is_bigbird:
    encoder = next(m for m in pipe.model.modules() if type(m).__name__ == "BigBirdPegasusEncoder")
    encoder.register_forward_pre_hook(lambda m, _: m.set_attention_type("block_sparse"))

def plain(value):
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.tolist() if isinstance(value, torch.Tensor) else value

answer = [plain(pipe(*given, **keywords)) for given, keywords in calls]
"""


def plain(value: Any) -> Any:
    """Arrays as lists, as the peer's are."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def check_same(ours: Any, theirs: Any) -> None:
    """Equal, but for the last digits of scores."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for key in ours:
            check_same(ours[key], theirs[key])
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            check_same(one, other)
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, rel=2e-4, abs=2e-5)
    else:
        assert ours == theirs


def compare(case: Case, checkpoint: Path, bundle: Path, ask: AskOptimum) -> None:
    """Every call of a case, of both."""
    theirs = ask(PEER, [case.task, str(checkpoint), case.constructor, case.calls])
    ours: Any = pipeline(case.task, bundle, threads=1, **case.constructor)  # type: ignore[call-overload]
    for (given, keywords), expected in zip(case.calls, theirs, strict=True):
        try:
            check_same(plain(ours(*given, **keywords)), expected)
        except AssertionError as err:
            raise AssertionError(f"{case.task} {given} {keywords}: {err}") from err


@pytest.mark.parametrize("task", GENERATING)
@pytest.mark.parametrize("name", ["pegasus-mini", "bigbird-mini"])
def test_texts_are_those_of_transformers(
    name: str,
    task: str,
    ask_optimum: AskOptimum,
    made_once: MadeOnce,
    pytestconfig: pytest.Config,
) -> None:
    count = pytestconfig.getoption("--pipeline-texts")
    if count < 3 and (name == "bigbird-mini" or task != GENERATING[0]):
        pytest.skip("part of make pipelines")
    checkpoint = CHECKPOINTS / name
    bundle = made_once.export(model=str(checkpoint)).bundle.folder
    for case in generating_cases(task, wire_texts(count)):
        compare(case, checkpoint, bundle, ask_optimum)


@pytest.mark.parametrize("architecture", OTHERS)
def test_labels_and_answers_are_those_of_transformers(
    architecture: str,
    ask_optimum: AskOptimum,
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
) -> None:
    case = OTHERS[architecture]
    assert len(case.calls) == 20
    compare(case, tiny_checkpoint(architecture), tiny_bundle(architecture), ask_optimum)
