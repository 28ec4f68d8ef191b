"""The Dockerfile and the systemd unit of pegasus-serve, as far as they can be checked unbuilt."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import tomllib

from pegasus_serve.process.arguments import make_parser

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "examples" / "serve"
UNIT = (FOLDER / "pegasus-serve.service").read_text("utf-8")
PAGE = (REPOSITORY / "docs" / "serving.md").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """(FROM, rest), … of the Dockerfile, continued lines joined."""
    lines = (FOLDER / "Dockerfile").read_text("utf-8").splitlines()
    text = re.sub(r"\\\n\s*", "", "\n".join(x for x in lines if not x.startswith("#")))
    return [(word, rest) for word, _, rest in (x.partition(" ") for x in text.splitlines()) if word]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def setting(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert ignored[0] == "*"
    copied = [
        name
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    ]
    assert {"pyproject.toml", "runtime"} <= set(copied)
    for name in copied:
        assert (REPOSITORY / name).exists(), name
        assert f"!{name}" in ignored


def test_the_wheel_has_all_that_it_is_built_from() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    copied = {name for word, rest in stages()[0] if word == "COPY" for name in rest.split()[:-1]}
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(package).parts[0] for package in packages} <= copied
    named = {project["project"]["readme"], *project["project"]["license-files"]}
    assert named <= copied
    (extras,) = re.findall(r"pegasus-edge\[([\w,]+)\]", str(instructions()))
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])


def test_the_last_stage_runs_nothing_and_is_nobody() -> None:
    last = dict(stages()[-1])
    assert "RUN" not in last
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    order = [word for word, _ in stages()[-1]]
    assert order.index("USER") < order.index("ENTRYPOINT")


def test_commands_of_the_image_need_no_shell_and_parse() -> None:
    last = dict(stages()[-1])
    health = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])
    assert health[:2] == ["python", "-c"]
    compile(health[2], "health", "exec")
    words = json.loads(last["ENTRYPOINT"]) + json.loads(last["CMD"])
    assert words[0] == "pegasus-serve"
    parsed = make_parser().parse_args(words[1:])
    assert f"'127.0.0.1', {parsed.port}" in health[2]
    assert str(parsed.port) == last["EXPOSE"]
    for word, rest in instructions():
        if word == "RUN":
            json.loads(rest)


def test_arguments_of_docker_run_in_the_docs_parse() -> None:
    (command,) = re.findall(r"^\$ (docker run (?:.*\\\n)*.*)$", PAGE, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", ""))
    for flag in ("--read-only", "no-new-privileges", "--stop-timeout"):
        assert flag in words
    assert words[words.index("--cap-drop") + 1] == "ALL"
    parsed = make_parser().parse_args(words[words.index("pegasus-serve") + 1 :])
    assert parsed.bundles == ["mini=/bundle"]
    mounted = [word for word in words if word.startswith("type=bind")]
    assert all(word.endswith(",readonly") for word in mounted)
    assert any(f"target={parsed.token_file}," in word for word in mounted)
    assert float(words[words.index("--stop-timeout") + 1]) > parsed.grace


def test_the_unit_waits_longer_than_the_server_and_its_command_parses() -> None:
    (command,) = setting("ExecStart")
    parsed = make_parser().parse_args(shlex.split(command)[1:])
    assert float(setting("TimeoutStopSec")[0]) > parsed.grace + 2
    assert setting("SocketBindAllow") == [f"tcp:{parsed.port}"]
    assert parsed.host == "127.0.0.1"
    assert setting("LoadCredential")[0].split(":")[0] == parsed.token_file.name


def test_the_unit_takes_away_what_the_docs_say() -> None:
    for line in (
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "MemoryDenyWriteExecute=yes",
        "IPAddressDeny=any",
        "Restart=on-failure",
    ):
        assert line in UNIT.splitlines()
    # ONNX Runtime reads /proc/cpuinfo, and pins its threads, which is of @resources.
    assert "ProcSubset" not in UNIT
    assert "@resources" not in "".join(setting("SystemCallFilter"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_finds_nothing_in_the_unit_and_exposes_little(tmp_path: Path) -> None:
    unit = tmp_path / "pegasus-serve.service"
    unit.write_text(UNIT.replace("/opt/pegasus/bin/pegasus-serve", "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", str(unit)]
    judged = subprocess.run(command, capture_output=True, text=True).stdout
    (exposure,) = re.findall(r"exposure level for \S+: ([\d.]+)", judged)
    assert f"exposure of {exposure} (of 10)" in PAGE
