"""What the C++ library counts and chooses, against Python; needs g++ alone."""

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from pegasus_plugins.kernel_file import ATTEND, KernelFile, KernelFileError, KernelImage
from pegasus_plugins.launch import plan_launch, workspace_limit
from pegasus_plugins.specification import AttentionSpec
from plugins.kernel_images import HALF, image

_SOURCE = Path(__file__).parents[2] / "plugins" / "csrc"
_STRICT = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
_CAPABILITIES = ("8.0", "8.6", "8.7", "8.9", "9.0", "10.0", "12.0", "12.1")

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")


def _compile(target: Path, *sources: str, options: Sequence[str] = ()) -> Path:
    command = ["g++", *_STRICT, *options, *(str(_SOURCE / x) for x in sources), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def _answers(program: Path, questions: Sequence[str]) -> list[str]:
    done = subprocess.run(
        [program], input="\n".join(questions), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_library_counts_programs_as_the_python_does(tmp_path: Path) -> None:
    program = _compile(tmp_path / "print_launches", "harness/print_launches.cpp")
    questions, expected = [], []
    for heads, (block, tile), full, batch, length, head_dim, num_sms, per_sm in itertools.product(
        (1, 16),
        ((16, 16), (64, 32), (64, 64), (128, 16)),
        (0, 704),
        (0, 1, 8),
        (0, 1, 63, 64, 65, 640, 704, 705, 4096, 16383),
        (32, 128),
        (0, 1, 16, 132),
        (1, 2, 4, 9),
    ):
        spec = AttentionSpec(
            num_heads=heads, block_size=block, num_random_blocks=3, longest_full=full, scale=1.0
        )
        launch = plan_launch(
            spec,
            batch=batch,
            length=length,
            head_dim=head_dim,
            tile_rows=tile,
            num_sms=num_sms,
            programs_per_sm=per_sm,
        )
        limit = workspace_limit(head_dim=head_dim, tile_rows=tile, num_sms=num_sms)
        questions.append(
            f"{heads} {block} {full} {batch} {length} {head_dim} {tile} {num_sms} {per_sm}"
        )
        expected.append(
            {
                "num_programs": launch.num_programs,
                "num_splits": launch.num_splits,
                "combine_programs": launch.combine_programs,
                "workspace_bytes": launch.workspace_bytes,
                "workspace_limit": limit,
            }
        )
    assert [json.loads(x) for x in _answers(program, questions)] == expected


def test_the_library_chooses_images_as_the_python_does(tmp_path: Path) -> None:
    program = _compile(tmp_path / "print_choices", "harness/print_choices.cpp", "kernel_images.cpp")
    questions, expected = [], []
    kinds = [(x, kind) for x in _CAPABILITIES for kind in ("cubin", "ptx")]
    for chosen in itertools.chain.from_iterable(itertools.combinations(kinds, n) for n in range(4)):
        images = [image(ATTEND, HALF, capability=x, kind=kind) for x, kind in chosen]
        questions += ["clear", *(f"image {x.replace('.', ' ')} {kind}" for x, kind in chosen)]
        for capability in _CAPABILITIES:
            questions.append(f"find {capability.replace('.', ' ')}")
            expected.append(_choice(images, capability))
    found = [x if x.isdigit() else _facts_of(x) for x in _answers(program, questions)]
    assert found == expected


def _choice(images: Sequence[KernelImage], capability: str) -> str:
    try:
        found = KernelFile(compiler="", images=images).find(ATTEND, HALF, capability)
    except KernelFileError as err:
        return _facts_of(str(err))
    return str(next(i for i, x in enumerate(images) if x is found))


def _facts_of(message: str) -> str:
    """What was asked for and what there is; how to go on is in words of one or the other."""
    return re.sub(r".*(compute capability [^:]*).*", r"\1", message)
