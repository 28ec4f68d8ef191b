"""Our pipelines against transformers 4.57's, the last that had them all, call by call.

Theirs run in Optimum's environment. They are given fp32 (they would take a checkpoint's fp16), of
BigBirdPegasus the tokenizer that published checkpoints have (of a vocabulary alone, 4.57 makes one
whose ids are all one too high), and an encoder that goes back to block-sparse attention for each
text (theirs stays with full attention from the first short text on).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from e2e.optimum_process import AskOptimum
from e2e.pipelines.cases import GENERATING, OTHERS, SHORT, Case, generating_cases, wire_texts
from e2e.pipelines.page import THEIRS_ON_A_CPU, blocks_under, printed
from peers import find_peer
from pegasus_runtime import pipeline

if TYPE_CHECKING:
    from made_once import MadeOnce

BIGBIRD = "BigBirdPegasusForConditionalGeneration"
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


PUBLISHED = """
import shutil, transformers
source, folder = request
shutil.copytree(source, folder)
tokenizer = transformers.AutoTokenizer.from_pretrained(folder, mask_token_sent=None)
tokenizer.add_special_tokens({"bos_token": "<s>"})
tokenizer.save_pretrained(folder)
answer = None
"""
PRINTED = """
import contextlib, io
out = io.StringIO()
with contextlib.redirect_stdout(out):
    exec(request[0], {"__name__": "__main__"})
answer = out.getvalue()
"""


@pytest.fixture
def whole(pytestconfig: pytest.Config) -> bool:
    """Whether there are minutes for all of it."""
    return bool(pytestconfig.getoption("--pipeline-texts") > 2)


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
    elif isinstance(ours, list) and ours and isinstance(ours[0], float):
        # Hidden states of a token, where the tiny checkpoints amplify what differs by rounding:
        # those of one that does not are compared by the tests of FeatureExtractor, at 2e-5.
        limit = 1e-4 * max(1.0, *map(abs, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=limit)
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            check_same(one, other)
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, rel=2e-4, abs=2e-6)
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
    whole: bool,
) -> None:
    count = pytestconfig.getoption("--pipeline-texts")
    if not whole and (name == "bigbird-mini" or task != GENERATING[0]):
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


@pytest.fixture
def page(
    ask_optimum: AskOptimum,
    made_once: MadeOnce,
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,
) -> Mapping[str, str]:
    """Bundles by the page's names, and what stands for its words: all are demo checkpoints where
    there is time, else two are tiny ones."""
    mini, big = CHECKPOINTS / "pegasus-mini", CHECKPOINTS / "bigbird-mini"
    bundles = {"xsum": made_once.export(model=str(mini)).bundle.folder}
    if whole:
        bundles["arxiv"] = made_once.export(model=str(big)).bundle.folder
        rounded = made_once.export(model=str(mini), precision="int4")
        bundles["xsum-int4"] = rounded.bundle.folder
    else:
        big = tiny_checkpoint(BIGBIRD)
        bundles["arxiv"] = tiny_bundle(BIGBIRD)
        bundles["xsum-int4"] = tiny_bundle()
    for name, folder in bundles.items():
        (tmp_path / name).symlink_to(folder)
    ask_optimum(PUBLISHED, [str(big), str(tmp_path / "big")])
    monkeypatch.chdir(tmp_path)
    return {
        **THEIRS_ON_A_CPU,
        "google/pegasus-xsum": str(mini),
        "google/bigbird-pegasus-large-arxiv": str(tmp_path / "big"),
        "text …": wire_texts(1)[0] if whole else SHORT,
    }


@pytest.mark.parametrize(
    ("heading", "their_transformers", "others"),
    [
        ("Pipeline", 4, 0),
        ("AutoModel, and the static cache", 5, 1),
        ("BigBirdPegasus", 5, 0),
        ("Weights in int4", None, 0),
    ],
)
def test_examples_of_the_documentation_print_the_same(
    heading: str,
    their_transformers: int | None,
    others: int,
    page: Mapping[str, str],
    ask_optimum: AskOptimum,
) -> None:
    blocks = blocks_under(heading)
    (theirs,) = [content for language, content in blocks if language == "py"]
    ours = [printed(content, page) for language, content in blocks if language == "python"]
    assert len(ours) == 1 + others
    assert len(set(ours)) == 1
    assert ours[0].strip()
    for old, new in page.items():
        theirs = theirs.replace(old, new)
    if their_transformers == 4:
        assert ask_optimum(PRINTED, [theirs]) == ours[0]
    elif their_transformers == 5:
        assert printed(theirs, {}) == ours[0]


def test_the_command_line_prints_the_same(page: Mapping[str, str], whole: bool) -> None:
    (theirs, ours) = [content for _, content in blocks_under("Command line")]
    run = f"{sys.executable} -c 'from pegasus_runtime.scripts import summarize; summarize()'"
    command = ours.replace("$ ", "", 1).replace("pegasus-summarize", f"{run} --num-beams 4")
    mine = subprocess.check_output(["bash", "-c", command.replace("text …", page["text …"])])
    assert mine.strip()
    peer = find_peer("optimum")
    if whole and peer is not None:
        for old, new in page.items():
            theirs = theirs.replace(old, new)
        env = {**os.environ, "PATH": f"{peer.bin}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
        output = subprocess.check_output(["bash", "-c", theirs], env=env, text=True)
        assert repr(mine.decode().rstrip("\n")) in output
