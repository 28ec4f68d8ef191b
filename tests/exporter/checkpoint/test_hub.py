"""Downloads from a fake hub; each runs in a process of its own, as HF_* are read at import."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.fake_hub import COMMIT, FakeHub
from exporter.tiny_checkpoint import write_tiny_checkpoint

REPO = "someone/pegasus-tiny"


def _files(*names: str) -> dict[str, bytes]:
    """Files of different content each: the cache keeps equal ones once."""
    return {name: json.dumps({"file": name}).encode() for name in names}


SMALL = _files(
    "config.json",
    "generation_config.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.4.0.0.json",
    "vocab.txt",
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
UNWANTED = _files(
    "README.md",
    "tokenization_own.py",
    "flax_model.msgpack",
    "tf_model.h5",
    "rust_model.ot",
    "onnx/config.json",
    "onnx/model.onnx",
    "model.fp16.safetensors",
)
WEIGHTS = _files("model.safetensors", "pytorch_model.bin")
SAFE_SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
BIN_SHARDS = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
DOWNLOAD = """
import sys
from pegasus_export.errors import CheckpointError
from pegasus_export.checkpoint.hub import download_checkpoint
try:
    print(download_checkpoint(sys.argv[1], sys.argv[2] or None))
except CheckpointError as err:
    print("error:", err)
"""
OPEN = """
import sys
from pegasus_export.checkpoint.folder import open_checkpoint
checkpoint = open_checkpoint(sys.argv[1], revision=sys.argv[2] or None)
print(checkpoint.name, checkpoint.folder.name, checkpoint.config.d_model, "torch" in sys.modules)
"""


def _download(
    hub_url: str,
    home: Path,
    *,
    repo: str = REPO,
    revision: str = "",
    extra: Mapping[str, str] | None = None,
    script: str = DOWNLOAD,
) -> str:
    """What the script prints: a folder, or "error: " and the message."""
    kept = ("HF_", "HUGGING", "HTTP_", "HTTPS_", "ALL_")
    env = {key: value for key, value in os.environ.items() if not key.upper().startswith(kept)}
    env |= {"HF_ENDPOINT": hub_url, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    env |= {"NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", script, repo, revision],
        env=env | dict(extra or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _index(*shards: str) -> bytes:
    return json.dumps({"weight_map": {f"t{i}": name for i, name in enumerate(shards)}}).encode()


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        (WEIGHTS, {"model.safetensors"}),
        (_files("pytorch_model.bin"), {"pytorch_model.bin"}),
        (
            _files("pytorch_model.bin", *SAFE_SHARDS)
            | {"model.safetensors.index.json": _index(*SAFE_SHARDS)},
            {"model.safetensors.index.json", *SAFE_SHARDS},
        ),
        (
            _files(*BIN_SHARDS) | {"pytorch_model.bin.index.json": _index(*BIN_SHARDS)},
            {"pytorch_model.bin.index.json", *BIN_SHARDS},
        ),
    ],
    ids=["safetensors", "bin", "safetensors-shards", "bin-shards"],
)
def test_only_the_needed_files_are_fetched(
    tmp_path: Path, weights: dict[str, bytes], wanted: set[str]
) -> None:
    with FakeHub({REPO: SMALL | UNWANTED | weights}) as hub:
        folder = Path(_download(hub.url, tmp_path))
    assert sorted(hub.fetched) == sorted({*SMALL, *wanted})
    assert {path.name for path in folder.iterdir()} == {*SMALL, *wanted}
    assert folder.name == COMMIT


def test_the_hub_is_not_told_what_else_there_is_and_asked_for_files_alone(tmp_path: Path) -> None:
    with FakeHub({REPO: SMALL | WEIGHTS}) as hub:
        _download(hub.url, tmp_path)
    assert all(REPO in path for path in hub.paths)
    assert hub.agents
    names = {part.split("/")[0].strip() for agent in hub.agents for part in agent.split(";")}
    assert names == {"unknown", "hf_hub", "python"}


FP16_SHARD = "model.fp16-00001-of-00001.safetensors"
NO_TORCH = {name: data for name, data in UNWANTED.items() if name != "model.fp16.safetensors"}


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (UNWANTED, {"model.fp16.safetensors"}),
        (NO_TORCH, {"flax_model.msgpack"}),
        (_files("tf_model.h5", "rust_model.ot"), {"tf_model.h5"}),
        (
            _files("model.fp16-00001-of-00001.safetensors")
            | {
                "model.safetensors.index.fp16.json": _index("model.fp16-00001-of-00001.safetensors")
            },
            {"model.safetensors.index.fp16.json", "model.fp16-00001-of-00001.safetensors"},
        ),
        (_files("README.md"), set()),
    ],
    ids=["variant", "flax", "tensorflow", "variant-shards", "none"],
)
def test_other_weights_are_fetched_where_torchs_are_missing(
    tmp_path: Path, files: dict[str, bytes], wanted: set[str]
) -> None:
    with FakeHub({REPO: SMALL | files}) as hub:
        folder = Path(_download(hub.url, tmp_path))
    assert {path.name for path in folder.iterdir()} == {*SMALL, *wanted}


@pytest.mark.parametrize("weights", ["adapter_model.safetensors", "adapter_model.bin"])
def test_of_an_adapter_its_settings_and_weights_are_fetched(tmp_path: Path, weights: str) -> None:
    files = _files("adapter_config.json", weights, "optimizer.pt", "README.md")
    with FakeHub({REPO: files}) as hub:
        folder = Path(_download(hub.url, tmp_path))
    assert {path.name for path in folder.iterdir()} == {"adapter_config.json", weights}


def test_an_adapter_and_its_base_may_both_be_on_the_hub(tmp_path: Path) -> None:
    written = Path(__file__).parent / "adapters" / "tied"
    base = {path.name: path.read_bytes() for path in (written / "base").iterdir()}
    adapter = {path.name: path.read_bytes() for path in (written / "attention").iterdir()}
    settings = json.loads(adapter["adapter_config.json"])
    adapter["adapter_config.json"] = json.dumps(
        settings | {"base_model_name_or_path": "someone/base"}
    ).encode()
    with FakeHub({REPO: adapter, "someone/base": base}) as hub:
        opened = _download(hub.url, tmp_path, script=OPEN)
    assert opened == f"someone/base + {REPO} {COMMIT} 16 False"


def test_the_address_of_a_repository_is_downloaded_as_its_id(tmp_path: Path) -> None:
    source = write_tiny_checkpoint(tmp_path / "source")
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    with FakeHub({REPO: files}) as hub:
        opened = _download(hub.url, tmp_path, repo=f"{hub.url}/{REPO}/tree/main", script=OPEN)
    assert opened == f"{hub.url}/{REPO}/tree/main {COMMIT} 32 False"


def test_a_second_download_fetches_nothing_and_the_cache_serves_offline(tmp_path: Path) -> None:
    with FakeHub({REPO: SMALL | {"pytorch_model.bin": b"bin"}}) as hub:
        first = _download(hub.url, tmp_path)
        hub.fetched.clear()
        assert _download(hub.url, tmp_path, revision="main") == first
        assert hub.fetched == []
    assert Path(first, "pytorch_model.bin").read_bytes() == b"bin"
    assert _download(hub.url, tmp_path) == first, "connection refused"
    assert _download(hub.url, tmp_path, extra={"HF_HUB_OFFLINE": "1"}) == first


def test_a_hub_id_opens_as_a_checkpoint_and_torch_is_not_loaded_for_it(tmp_path: Path) -> None:
    source = write_tiny_checkpoint(tmp_path / "source", weights="bin-sharded")
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    with FakeHub({REPO: files}) as hub:
        opened = _download(hub.url, tmp_path / "home", revision=COMMIT, script=OPEN)
    assert opened == f"{REPO} {COMMIT} 32 False"
    assert set(hub.fetched) == set(files)


def test_a_repository_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with FakeHub({}) as hub:
        message = _download(hub.url, tmp_path)
    assert message == (
        f"error: {REPO} is neither a folder here nor a repository that you may read on {hub.url}: "
        "check the name, or run `hf auth login` if it is private"
    )


def test_a_gated_repository_says_to_accept_its_terms(tmp_path: Path) -> None:
    with FakeHub({REPO: SMALL | WEIGHTS}, gated=frozenset({REPO})) as hub:
        message = _download(hub.url, tmp_path)
    assert message.startswith(f"error: {REPO} is gated on {hub.url}: accept its terms there")


def test_an_unknown_revision_is_named(tmp_path: Path) -> None:
    with FakeHub({REPO: SMALL | WEIGHTS}) as hub:
        message = _download(hub.url, tmp_path, revision="v9")
    assert message.startswith(f"error: {REPO} has no revision v9 on {hub.url}: give a branch")


def test_an_empty_cache_without_a_connection_says_so(tmp_path: Path) -> None:
    with FakeHub({}) as hub:
        pass
    refused = _download(hub.url, tmp_path)
    assert refused == (
        f"error: {REPO} is not complete in the cache and {hub.url} does not deliver it "
        "(ConnectError): check the connection, or give a local folder"
    )
    offline = _download(hub.url, tmp_path, extra={"HF_HUB_OFFLINE": "1"})
    assert "is not complete in the cache and HF_HUB_OFFLINE is set: unset it" in offline


def test_a_name_that_is_no_hub_id_is_refused(tmp_path: Path) -> None:
    message = _download("http://127.0.0.1:9", tmp_path, repo="some one/two--three")
    assert "'some one/two--three' is neither a folder here nor a hub id" in message


def test_a_repository_without_config_is_refused_before_its_weights_are_fetched(
    tmp_path: Path,
) -> None:
    with FakeHub({REPO: {"README.md": b"", "pytorch_model.bin": b"bin"}}) as hub:
        message = _download(hub.url, tmp_path)
    assert message.startswith(f"error: {REPO} has no config.json: choose")
    assert hub.fetched == []


@pytest.mark.parametrize("index", [b"{", b"[]", b"{}", b'{"weight_map": 3}'])
def test_a_damaged_index_is_refused(tmp_path: Path, index: bytes) -> None:
    with FakeHub({REPO: SMALL | {"model.safetensors.index.json": index}}) as hub:
        message = _download(hub.url, tmp_path)
    assert f"{REPO} has a damaged model.safetensors.index.json" in message


def test_a_download_that_breaks_off_is_one_line(tmp_path: Path) -> None:
    with FakeHub({REPO: SMALL | WEIGHTS}, broken=frozenset({"spiece.model"})) as hub:
        message = _download(hub.url, tmp_path)
    assert message.startswith(f"error: {REPO} cannot be downloaded (")
    assert message.endswith("try again later")
    assert "\n" not in message
