"""A container's first process, as light as can be: it has the nursery fork the worker, and ends as that one ends."""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import sys

nursery = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
nursery.connect(os.environ["NURSERY"])
asked = json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ)}).encode() + b"\n"
output = array.array("i", [1])
nursery.sendmsg([asked[:1000]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, output)])
nursery.sendall(asked[1000:])
worker = int.from_bytes(nursery.recv(8, socket.MSG_WAITALL), "big")


def pass_on(number, frame):
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, number)


signal.signal(signal.SIGTERM, pass_on)
code = int.from_bytes(nursery.recv(8, socket.MSG_WAITALL), "big", signed=True)
if code < 0:
    if code != -signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
