"""The real gcloud, imported once and forked for each call: 0.2 s instead of 1 s, of which most is importing.

Run by gcloud's own Python: `python3 warm_gcloud.py SDK SOCKET`. A caller sends its arguments, folder and environment
together with its three standard streams, and gets the exit code. What a call has imported, the next ones find.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress

SDK, SOCKET = sys.argv[1:]
sys.path[:0] = [f"{SDK}/lib/third_party", f"{SDK}/lib"]

gcloud_main = importlib.import_module("googlecloudsdk.gcloud_main")


def call(request, streams):
    """As if started afresh with these arguments, environment and streams; the exit code."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [f"{SDK}/lib/gcloud.py", *request["arguments"]]
    sys.stdin = io.TextIOWrapper(os.fdopen(0, "rb", closefd=False))
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), write_through=True)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), write_through=True)
    try:
        gcloud_main.main()
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
    listener.bind(SOCKET)
    listener.listen(64)
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
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                code = call(json.loads(message), streams)
                connection.sendall(str(code).encode())
                connection.close()
                for name in sys.modules.keys() - known:
                    os.write(writing, f"{name}\n".encode())
                os._exit(0)
        for stream in streams:
            os.close(stream)


serve()
