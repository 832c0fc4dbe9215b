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


def pins(worker: str) -> dict[str, str]:
    text = (ROOT / "workers" / worker / "requirements.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ \n]+)", text, re.MULTILINE))


def dockerfile(worker: str) -> str:
    return (ROOT / "workers" / worker / "Dockerfile").read_text()


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


def test_torch_brings_the_cuda_library_that_ctranslate2_opens() -> None:
    """Its wheel comes with all of CUDA, cuBLAS too: of the major version that ctranslate2 and the driver have."""
    opened = {found.decode() for found in re.findall(rb"lib(?:cu[a-zA-Z]+|nv[a-zA-Z]+)\.so\.\d+", binary())}
    assert opened - {DRIVER} == {f"libcublas.so.{DRIVER_MAJOR}"}
    assert f"libcublas.so.{DRIVER_MAJOR}" in (ROOT / "workers/gpu/Dockerfile").read_text()
    [index] = re.findall(r"^ARG TORCH_INDEX=\S+/cu(\d\d)\d$", dockerfile("gpu"), re.MULTILINE)
    assert int(index) == DRIVER_MAJOR


def test_ctranslate2_holds_machine_code_for_an_l4() -> None:
    found = set(architectures(binary()))
    assert any(kind == MACHINE_CODE and L4 // 10 * 10 <= capability <= L4 for kind, capability in found)


def test_only_the_gpu_image_gets_cuda() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "workers/cpu/requirements.txt"):
        assert "nvidia-" not in (ROOT / name).read_text()
    assert re.search(r"^ARG TORCH_INDEX=\S+/cpu$", dockerfile("cpu"), re.MULTILINE)


def test_gpu_list_is_the_cpu_list() -> None:
    """What is tested here on a CPU is what runs there; which build of torch it is, the index decides."""
    assert pins("gpu") == pins("cpu")
    assert "torch" in pins("gpu")


def test_functions_never_get_torch() -> None:
    functions = (ROOT / "requirements.txt").read_text()
    assert not re.search(r"^(torch|torchaudio|av|numpy)==", functions, re.MULTILINE)
