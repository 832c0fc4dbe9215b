"""python -m workers.fit_torchaudio: after an installation, let torchaudio go with a torch that was built without CUDA.

The package index has torchaudio 2.11 linked to CUDA alone, and beside such a torch it does not even import. Without its
compiled extension it does, and says so in `torchaudio._extension`: what is lost are forced alignment, RNN-T loss and a
fast lfilter, none of which is used here. Beside any other torch, and beside a torchaudio that imports, nothing is done.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import torch


def main() -> int:
    """Exit status 0: torchaudio imports; else why it does not is on standard error."""
    if torch.version.cuda is None and not _imports():
        removed = _remove_extension()
        print(f"torchaudio is built for CUDA, torch is not: removed {', '.join(removed)}", file=sys.stderr)  # noqa: T201
    return subprocess.run([sys.executable, "-c", "import torchaudio"], check=False).returncode


def _imports() -> bool:
    # In a process of its own: a library that half of it was loaded of is not tried again.
    run = subprocess.run([sys.executable, "-c", "import torchaudio"], capture_output=True, check=False)
    return run.returncode == 0


def _remove_extension() -> list[str]:
    spec = find_spec("torchaudio")
    assert spec is not None  # noqa: S101
    assert spec.origin is not None  # noqa: S101
    libraries = sorted((Path(spec.origin).parent / "lib").glob("*.so"))
    for library in libraries:
        library.unlink()
    return [library.name for library in libraries]


if __name__ == "__main__":
    sys.exit(main())
