"""The CUDA libraries in the GPU image are those that ctranslate2's own binary asks for, and it has code for an L4."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import cache
from importlib.metadata import files

from tests.wiring.tree import ROOT

#: Cloud Run's L4 driver (535) is CUDA 12.2's; by minor version compatibility it runs what any CUDA 12 has compiled.
#: https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
DRIVER_MAJOR = 12
#: Mounted by the platform.
DRIVER = "libcuda.so.1"
#: Compute capability 8.9; machine code for an earlier 8.x runs on it. PTX would not do: its compiler is the driver's.
L4 = 89
MACHINE_CODE = 2


@cache
def binary() -> bytes:
    [library] = [file for file in files("ctranslate2") or [] if re.match(r"libctranslate2.*\.so", file.name)]
    return library.locate().read_bytes()


def requirements() -> dict[str, str]:
    text = (ROOT / "workers/gpu/requirements.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ \n]+)", text, re.MULTILINE))


def architectures(data: bytes) -> Iterator[tuple[int, int]]:
    """(kind, compute capability) of each piece of GPU code in a binary's fat containers."""
    for container in re.finditer(re.escape(struct.pack("<IH", 0xBA55ED50, 1)), data):
        header, size = struct.unpack_from("<HQ", data, container.start() + 6)
        at = container.start() + header
        end = at + size
        while at < end:
            kind, _, length, payload = struct.unpack_from("<HHIQ", data, at)
            yield kind, struct.unpack_from("<I", data, at + 28)[0]
            at += length + payload


def test_each_cuda_library_that_ctranslate2_opens_is_in_the_image() -> None:
    opened = {found.decode() for found in re.findall(rb"lib(?:cu[a-zA-Z]+|nv[a-zA-Z]+)\.so\.\d+", binary())}
    assert opened - {DRIVER} == {f"libcublas.so.{DRIVER_MAJOR}"}
    pinned = {name for name in requirements() if name.startswith("nvidia-")}
    assert pinned == {"nvidia-cublas-cu12"}
    assert requirements()["nvidia-cublas-cu12"].split(".")[0] == str(DRIVER_MAJOR)


def test_ctranslate2_holds_machine_code_for_an_l4() -> None:
    found = set(architectures(binary()))
    assert any(kind == MACHINE_CODE and L4 // 10 * 10 <= capability <= L4 for kind, capability in found)


def test_development_never_pulls_cuda() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "workers/cpu/requirements.txt"):
        assert "nvidia-" not in (ROOT / name).read_text()


def test_gpu_list_is_the_cpu_list_and_cuda() -> None:
    """What is tested here on a CPU is what runs there."""
    cpu = dict(
        re.findall(r"^([a-z0-9-]+)==([^ \n]+)", (ROOT / "workers/cpu/requirements.txt").read_text(), re.MULTILINE)
    )
    assert {name: pin for name, pin in requirements().items() if not name.startswith("nvidia-")} == cpu
