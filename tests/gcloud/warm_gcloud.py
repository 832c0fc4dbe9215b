"""The real gcloud, imported once and forked for each call: 0.1 s instead of 1 s, of which most is importing.

Run by gcloud's own Python: `python3 warm_gcloud.py SDK SOCKET`. A caller sends its folder, arguments and environment
together with its three standard streams, and gets the exit code. What a call has imported, and the commands that were
ever asked for, the next ones find.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import io
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path

SDK, SOCKET = sys.argv[1:]
sys.path[:0] = [f"{SDK}/lib/third_party", f"{SDK}/lib"]

gcloud_main = importlib.import_module("googlecloudsdk.gcloud_main")
CLI = gcloud_main.CreateCLI([])


def load(arguments):
    """The command of this name, with the groups it is in: they are read from hundreds of files."""
    element = CLI._CLI__top_element
    with suppress(Exception):
        for word in arguments:
            element = element.LoadSubElement(word)


def call(folder, arguments, environment, streams):
    """As if started afresh with these arguments, environment and streams; the exit code."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [f"{SDK}/lib/gcloud.py", *arguments]
    sys.stdin = io.TextIOWrapper(os.fdopen(0, "rb", closefd=False))
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), write_through=True)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), write_through=True)
    try:
        gcloud_main.main(CLI)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def serve():
    # A test run that is killed takes this process along.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    # Its name appears once it listens.
    listener.bind(f"{SOCKET}.new")
    listener.listen(64)
    Path(f"{SOCKET}.new").rename(SOCKET)
    reading, writing = os.pipe()
    rest = b""
    while True:
        ready, _, _ = select.select([listener, reading], [], [])
        if reading in ready:
            *names, rest = (rest + os.read(reading, 65536)).split(b"\n")
            for name in names:
                with suppress(Exception):
                    importlib.import_module(name.decode())
            continue
        connection, _ = listener.accept()
        known = set(sys.modules)
        with connection:
            message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
            folder, count, *words = message.decode().split("\0")
            arguments, variables = words[: int(count)], words[int(count) :]
            load(arguments)
            # A collection in the child would touch, and so copy, all that it has of its parent.
            gc.freeze()
            if os.fork() == 0:
                gc.disable()
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                code = call(folder, arguments, dict(it.split("=", 1) for it in variables), streams)
                connection.sendall(str(code).encode())
                connection.close()
                for name in sys.modules.keys() - known:
                    os.write(writing, f"{name}\n".encode())
                os._exit(0)
        for stream in streams:
            os.close(stream)


serve()
