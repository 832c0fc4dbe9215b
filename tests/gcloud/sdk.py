"""Starts the warm gcloud and puts a `gcloud` into a folder for PATH that hands its calls to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import eventually

#: Of what Python has built in alone: most of a small program's time goes into importing.
_CLIENT = """#!{python} -ISE
import _socket, posix, sys
environment = [name + b"=" + value for name, value in posix.environ.items()]
arguments = [word.encode() for word in sys.argv[1:]]
with open({calls!r}, "a") as calls:
    calls.write(repr(sys.argv[1:]) + "\\n")
words = [posix.getcwdb(), b"%d" % len(arguments), *arguments, *environment]
server = _socket.socket(_socket.AF_UNIX)
server.connect({socket!r})
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
server.sendmsg([b"\\0".join(words)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
sys.exit(int(server.recv(16) or b"1"))
"""


def installed() -> Path | None:
    """Where the Google Cloud SDK is, with the Python it brings; None where it is not."""
    found = shutil.which("gcloud")
    root = Path(found).resolve().parents[1] if found else None
    return root if root and _python(root).exists() else None


@contextmanager
def warm_gcloud(folder: Path, environment: dict[str, str]) -> Iterator[Path]:
    """The folder with `gcloud` in it; its calls' arguments are lines of `calls` there."""
    root = installed()
    assert root, "installed() says whether there is a gcloud"
    tools, socket = folder / "bin", folder / "socket"
    tools.mkdir()
    client = tools / "gcloud"
    client.write_text(_CLIENT.format(python=_python(root), socket=str(socket), calls=str(tools / "calls")))
    client.chmod(0o755)
    program = Path(__file__).with_name("warm_gcloud.py")
    server = subprocess.Popen(
        [_python(root), "-S", program, root, socket], env=environment, cwd=folder, start_new_session=True
    )
    try:
        eventually(lambda: socket.exists() or server.poll() is not None, "gcloud has been imported")
        assert server.poll() is None, "gcloud could not be imported"
        yield tools
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _python(root: Path) -> Path:
    return root / "platform" / "bundledpythonunix" / "bin" / "python3"
