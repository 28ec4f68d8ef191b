"""A folder with what a computer of ARM's has, and QEMU to run it; made without any rights.

Of Debian 12 come QEMU, if it is not installed, the C library and Python; of PyPI the wheels. Their
versions are those of this interpreter's packages.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

__all__ = ["System", "make_system", "unpack_wheel"]

_PYTHON = "3.11"
_PACKAGES = (
    f"python{_PYTHON}",
    f"python{_PYTHON}-minimal",
    f"libpython{_PYTHON}-minimal",
    f"libpython{_PYTHON}-stdlib",
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "libbz2-1.0",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libsqlite3-0",
    "libssl3",
    "libuuid1",
    "zlib1g",
)
_WHEELS = ("numpy", "sentencepiece", "onnxruntime", "protobuf", "flatbuffers", "packaging")
_TAGS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
_PROCESSOR = "neoverse-n1"  # AWS Graviton2: ARMv8.2 with dot products, no SVE
# What the kernel says of the cores: ONNX Runtime ends where it reads of another family's.
_CORES = """\
processor\t: {}
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """An emulated computer."""

    qemu: str
    root: Path
    """What it takes for its /, where there is such a file; else it sees this computer's."""
    packages: Path
    """Python's, from wheels."""

    def python(self, arguments: Sequence[str], path: Sequence[Path], **environment: str) -> str:
        """What a script prints. path: folders of modules beside the packages."""
        variables = environment | {
            "PYTHONPATH": ":".join(map(str, (self.packages, *path))),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        emulator = [self.qemu, "-cpu", _PROCESSOR, "-L", str(self.root)]
        settings = [word for item in variables.items() for word in ("-E", "=".join(item))]
        program = str(self.root / "usr" / "bin" / f"python{_PYTHON}")
        return _run([*emulator, *settings, program, *arguments])


def make_system(folder: Path) -> System:
    """Downloads what is not there yet. Raises: CalledProcessError after what a program said."""
    folder.mkdir(parents=True, exist_ok=True)
    root, packages, is_made = folder / "root", folder / "packages", folder / "made"
    if not is_made.exists():
        _unpack_debian(_PACKAGES, root, folder / "apt", architecture="arm64")
        (root / "proc").mkdir(exist_ok=True)
        (root / "proc" / "cpuinfo").write_text("".join(map(_CORES.format, range(2))))
        _download_wheels(folder / "wheels")
        for wheel in (folder / "wheels").glob("*.whl"):
            unpack_wheel(wheel, packages)
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if qemu is None:
        unpacked = folder / "qemu" / "usr" / "bin" / "qemu-aarch64-static"
        if not unpacked.exists():
            architecture = _run(["dpkg", "--print-architecture"]).strip()
            _unpack_debian(["qemu-user-static"], folder / "qemu", folder / "apt-qemu", architecture)
        qemu = str(unpacked)
    is_made.touch()
    return System(qemu=qemu, root=root, packages=packages)


def unpack_wheel(wheel: Path, folder: Path) -> None:
    """As pip would, of wheels that have nothing but modules."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


def _unpack_debian(packages: Sequence[str], root: Path, state: Path, architecture: str) -> None:
    """Debian packages, by lists of their own: the system's are left as they are."""
    for name in ("lists/partial", "cache/archives/partial", "debs"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "",
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Debug::NoLocking": "1",
    }
    apt = ["apt-get", "-qq"]
    apt += [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    _run([*apt, "update"])
    _run([*apt, "download", *packages], folder=state / "debs")
    for package in sorted((state / "debs").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(root)])


def _download_wheels(folder: Path) -> None:
    tags = [word for tag in _TAGS for word in ("--platform", tag)]
    kinds = [word for abi in ("cp311", "abi3", "none") for word in ("--abi", abi)]
    wanted = [f"{name}=={version(name)}" for name in _WHEELS]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    python = ["--python-version", _PYTHON, "--implementation", "cp", *kinds]
    only = ["--only-binary", ":all:", "--no-deps", "--dest", str(folder)]
    _run([*pip, *tags, *python, *only, *wanted])


def _run(command: Sequence[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout
