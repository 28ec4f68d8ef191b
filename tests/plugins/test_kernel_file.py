"""Kernel files: what is written comes back, damage is told, and a GPU finds what it can run."""

import json
from pathlib import Path
from typing import Any

import pytest

from pegasus_plugins.kernel_file import (
    ATTEND,
    COMBINE,
    KernelFile,
    KernelFileError,
    KernelImage,
    KernelVariant,
    read_kernel_file,
    write_kernel_file,
)

VARIANT = KernelVariant(dtype="float16", head_dim=64, block_size=64, plan_columns=0)
FIELDS = [name for name in KernelImage.__slots__ if name != "code"]


def make_image(capability: str, kind: str = "cubin", **changes: Any) -> KernelImage:
    fields: dict[str, Any] = {
        "kernel": ATTEND,
        "variant": VARIANT,
        "capability": capability,
        "kind": kind,
        "tile_rows": 64,
        "num_warps": 4,
        "shared_bytes": 57856,
        "registers": 145,
        "spill_bytes": 0,
        "least_driver": 12080,
        "code": f"{kind} for {capability}".encode(),
    }
    return KernelImage(**{**fields, **changes})


def make_file(*images: KernelImage) -> KernelFile:
    return KernelFile(compiler="triton 3.9.0", images=images)


def written(folder: Path, *images: KernelImage) -> Path:
    path = folder / "attention.kernels"
    write_kernel_file(path, make_file(*images))
    return path


def with_header(path: Path, change: Any) -> Path:
    """The file with its header changed by a function of it."""
    content = path.read_bytes()
    end = 16 + int.from_bytes(content[8:16], "little")
    header = json.loads(content[16:end])
    text = json.dumps(change(header) or header).encode()
    path.write_bytes(content[:8] + len(text).to_bytes(8, "little") + text + content[end:])
    return path


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    seeded = KernelVariant(dtype="bfloat16", head_dim=128, block_size=16, plan_columns=3)
    images = [
        make_image("8.0"),
        make_image("8.0", "ptx", code=b".version 8.0\0"),
        make_image("12.0", kernel=COMBINE, variant=seeded, spill_bytes=8, code=b""),
    ]
    got = read_kernel_file(written(tmp_path, *images))
    assert got.compiler == "triton 3.9.0"
    for image, expected in zip(got.images, images, strict=True):
        for name in (*FIELDS, "code"):
            assert getattr(image, name) == getattr(expected, name), name


def test_a_file_that_does_not_say_which_driver_it_needs_is_read(tmp_path: Path) -> None:
    """As every file up to version 0.1.0."""

    def forget(header: dict[str, Any]) -> None:
        for entry in header["images"]:
            del entry["least_driver"]

    path = with_header(written(tmp_path, make_image("8.0"), make_image("9.0")), forget)
    assert [x.least_driver for x in read_kernel_file(path).images] == [0, 0]


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path, make_image("8.0"))
    with pytest.raises(FileExistsError):
        write_kernel_file(path, make_file())


def test_another_file_is_no_kernel_file(tmp_path: Path) -> None:
    for content in (b"", b"PEGKERN", b"\x7fELF and so on"):
        path = tmp_path / "other"
        path.write_bytes(content)
        with pytest.raises(KernelFileError, match=r"other: not a kernel file$"):
            read_kernel_file(path)


def test_a_header_longer_than_any_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"PEGKERN1" + b"\xff" * 8)
    with pytest.raises(KernelFileError, match=r"long: its header is damaged$"):
        read_kernel_file(path)


def test_a_file_that_ends_anywhere_else_is_damaged(tmp_path: Path) -> None:
    path = written(tmp_path, make_image("8.0"), make_image("9.0"))
    content = path.read_bytes()
    for size in range(8, len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(KernelFileError, match="its header is damaged: "):
            read_kernel_file(path)
    path.write_bytes(content[:-1])
    message = "ends after 12 of 13 bytes of an image"
    with pytest.raises(KernelFileError, match=message):
        read_kernel_file(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(KernelFileError, match="has bytes behind its images"):
        read_kernel_file(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("bytes", 2**62, r"ends after 13 of 4611686018427387904 bytes"),
        ("bytes", -1, "bytes is -1"),
        ("bytes", "13", "bytes is '13'"),
        ("num_warps", 4.0, "num_warps is 4.0"),
        ("shared_bytes", None, "shared_bytes is None"),
        ("registers", True, "registers is True"),
        ("head_dim", 48, "no kernel computes float16 with head dim 48"),
        ("dtype", "int8", "no kernel computes int8 with head dim 64"),
        ("block_size", 65, "no kernel has blocks of 65 with 0 plan columns"),
        ("kernel", "attend", "has 'cubin' of 'attend'"),
        ("kind", "sass", "has 'sass' of 'attend_blocks'"),
        ("capability", "sm_80", "'sm_80' is no compute capability"),
    ],
)
def test_an_image_described_wrongly_is_damage(
    tmp_path: Path, field: str, value: object, message: str
) -> None:
    path = written(tmp_path, make_image("8.0"))
    with_header(path, lambda header: header["images"][0].update({field: value}))
    with pytest.raises(KernelFileError, match=f"its header is damaged: {message}"):
        read_kernel_file(path)


@pytest.mark.parametrize("name", ["compiler", "images"])
def test_a_header_without_a_field_is_damaged(tmp_path: Path, name: str) -> None:
    path = with_header(
        written(tmp_path), lambda header: {k: header[k] for k in header if k != name}
    )
    with pytest.raises(KernelFileError, match=f"its header is damaged: '{name}'"):
        read_kernel_file(path)


def test_a_header_that_is_another_thing_is_damaged(tmp_path: Path) -> None:
    for header in ([1], {"images": [3], "compiler": ""}, {"images": 5, "compiler": ""}):
        path = tmp_path / "attention.kernels"
        path.unlink(missing_ok=True)
        with_header(written(tmp_path), lambda _, header=header: header)
        with pytest.raises(KernelFileError, match="its header is damaged: "):
            read_kernel_file(path)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ("8.0", "cubin for 8.0"),
        ("8.6", "cubin for 8.6"),
        ("8.7", "cubin for 8.7"),
        ("8.9", "cubin for 8.6"),  # of its major version, the nearest
        ("9.0", "cubin for 9.0"),
        ("10.0", "ptx for 8.0"),
        ("12.0", "cubin for 12.0"),
        ("12.1", "ptx for 8.0"),  # cubins from 9.0 on are for one architecture alone
    ],
)
def test_a_gpu_finds_the_nearest_image(capability: str, expected: str) -> None:
    kinds = [("8.0", "ptx"), *((x, "cubin") for x in ("8.0", "12.0", "8.7", "9.0", "8.6"))]
    kernels = make_file(*(make_image(x, kind) for x, kind in kinds))
    assert kernels.find(ATTEND, VARIANT, capability).code == expected.encode()


def test_orin_runs_no_other_cubin_and_no_other_gpu_runs_orins() -> None:
    kernels = make_file(make_image("8.0"), make_image("8.7"))
    assert kernels.find(ATTEND, VARIANT, "8.9").capability == "8.0"
    with pytest.raises(KernelFileError, match=r"compute capability 8\.9"):
        make_file(make_image("8.7")).find(ATTEND, VARIANT, "8.9")
    with pytest.raises(KernelFileError, match=r"compute capability 8\.7"):
        make_file(make_image("8.0"), make_image("8.6")).find(ATTEND, VARIANT, "8.7")
    fallback = make_file(make_image("8.0"), make_image("8.0", "ptx"))
    assert fallback.find(ATTEND, VARIANT, "8.7").kind == "ptx"


def test_an_image_for_a_newer_gpu_is_not_for_an_older_one() -> None:
    kernels = make_file(make_image("9.0"), make_image("8.9"), make_image("8.6", "ptx"))
    with pytest.raises(KernelFileError, match=r"compute capability 8\.0"):
        kernels.find(ATTEND, VARIANT, "8.0")


def test_what_is_missing_is_said_with_what_is_there() -> None:
    kernels = make_file(make_image("8.0"), make_image("9.0"))
    message = (
        r"no kernel for compute capability 12\.0, float16, head dim 64, blocks of 64 and 0 plan "
        r"columns \(there is one for 8\.0, 9\.0\): compile it with python -m "
        r"pegasus_plugins\.compile_kernels"
    )
    with pytest.raises(KernelFileError, match=message):
        kernels.find(ATTEND, VARIANT, "12.0")
    with pytest.raises(KernelFileError, match="there is one for no GPU"):
        kernels.find(COMBINE, VARIANT, "8.0")
    with pytest.raises(ValueError, match="'sm_80' is no compute capability"):
        kernels.find(ATTEND, VARIANT, "sm_80")


def test_a_variant_is_one_that_kernels_exist_for() -> None:
    for changes, message in (
        ({"dtype": "float64"}, "no kernel computes float64 with head dim 64"),
        ({"head_dim": 80}, "no kernel computes float16 with head dim 80"),
        ({"block_size": 8}, "no kernel has blocks of 8 with 0 plan columns"),
        ({"plan_columns": -1}, "no kernel has blocks of 64 with -1 plan columns"),
    ):
        usual = {"dtype": "float16", "head_dim": 64, "block_size": 64, "plan_columns": 0}
        with pytest.raises(KernelFileError, match=message):
            KernelVariant(**{**usual, **changes})  # type: ignore[arg-type]
