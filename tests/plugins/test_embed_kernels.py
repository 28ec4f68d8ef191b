"""Kernel images as C++ source; that it compiles and works is `test_library.py`'s to show."""

import re
from pathlib import Path

import pytest

from pegasus_plugins.embed_kernels import CODE_NAME, TABLE_NAME, embed_kernels, main
from pegasus_plugins.kernel_file import (
    ATTEND,
    COMBINE,
    KernelFile,
    KernelFileError,
    KernelImage,
    KernelVariant,
    write_kernel_file,
)

_VARIANT = KernelVariant(dtype="float16", head_dim=64, block_size=32, plan_columns=3)


def _image(**changes: object) -> KernelImage:
    fields: dict[str, object] = {
        "kernel": ATTEND,
        "variant": _VARIANT,
        "capability": "8.7",
        "kind": "cubin",
        "tile_rows": 16,
        "num_warps": 4,
        "shared_bytes": 65536,
        "registers": 128,
        "spill_bytes": 0,
        "least_driver": 12080,
        "code": b"\x7fELF",
    }
    return KernelImage(**(fields | changes))  # type: ignore[arg-type]


def _kernels(*images: KernelImage) -> KernelFile:
    return KernelFile(compiler="triton 3.9.0", images=images)


def test_the_code_holds_every_image_where_the_table_says(tmp_path: Path) -> None:
    images = [_image(code=bytes([i + 1]) * (60 + i)) for i in range(9)]
    embed_kernels(_kernels(*images), tmp_path / "new")
    code = (tmp_path / "new" / CODE_NAME).read_bytes()
    table = (tmp_path / "new" / TABLE_NAME).read_text()
    offsets = [int(x) for x in re.findall(r"pegasus_kernel_code \+ (\d+)", table)]
    assert len(offsets) == len(images)
    for offset, image in zip(offsets, images, strict=True):
        assert offset % 64 == 0
        assert code[offset:].startswith(image.code + b"\0")


def test_a_row_of_the_table_says_what_an_image_is(tmp_path: Path) -> None:
    ptx = _image(kernel=COMBINE, capability="10.0", kind="ptx", shared_bytes=0)
    embed_kernels(_kernels(_image(), ptx), tmp_path)
    table = (tmp_path / TABLE_NAME).read_text()
    assert (
        '{"attend_blocks", {"float16", 64, 32, 3}, {8, 7}, false, 16, 4, 65536, 12080, 2, '
        "pegasus_kernel_code + 0}" in table
    )
    assert (
        '{"combine_splits", {"float16", 64, 32, 3}, {10, 0}, true, 16, 4, 0, 12080, 4, '
        "pegasus_kernel_code + 64}" in table
    )


def test_a_compiler_of_many_lines_stays_in_its_comment(tmp_path: Path) -> None:
    kernels = KernelFile(compiler="triton\n#error\\", images=[_image()])
    embed_kernels(kernels, tmp_path)
    assert "// triton #error\n#include" in (tmp_path / TABLE_NAME).read_text()


def test_source_is_replaced_when_the_kernels_change(tmp_path: Path) -> None:
    embed_kernels(_kernels(_image(), _image()), tmp_path)
    embed_kernels(_kernels(_image(code=b"new")), tmp_path)
    assert (tmp_path / CODE_NAME).read_bytes() == b"new" + bytes(61)
    assert "{images, 1}" in (tmp_path / TABLE_NAME).read_text()


def test_a_file_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KernelFileError, match="no images, expected at least one"):
        embed_kernels(_kernels(), tmp_path)


def test_the_command_embeds_a_file(tmp_path: Path) -> None:
    write_kernel_file(tmp_path / "a.kernels", _kernels(_image()))
    assert main([str(tmp_path / "a.kernels"), str(tmp_path / "out")]) == 0
    assert {x.name for x in (tmp_path / "out").iterdir()} == {CODE_NAME, TABLE_NAME}


@pytest.mark.parametrize(("content", "message"), [(b"no", "not a kernel file"), (None, "No such")])
def test_the_command_says_what_is_wrong_with_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, message: str
) -> None:
    path = tmp_path / "a.kernels"
    if content is not None:
        path.write_bytes(content)
    assert main([str(path), str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_the_command_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--help"])
    assert exited.value.code == 0
    assert "FILE" in capsys.readouterr().out
