"""Worker processes that begin warm: forked from one that has imported everything, in milliseconds instead of a second.

    python -m tests.chaos.nursery SOCKET        the nursery itself, until it is killed
    python -I -S tests/chaos/launch.py ARGS…    what stands for a container's first process (tests.chaos.launch)

A launcher sends its arguments, its environment and its standard output; the nursery forks the worker and answers
how it ended. When the launcher dies, so does its worker, as a container goes with its first process.
"""

from __future__ import annotations

import array
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

_PID_BYTES: Final = 8


class Nursery:
    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(128)
        self._launchers: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._begin(self._listener.accept()[0])
                elif key.fileobj is self._woken:
                    with suppress(BlockingIOError):
                        self._woken.recv(4096)
                else:
                    self._forsake(key.data)
            self._reap()

    def _begin(self, launcher: socket.socket) -> None:
        try:
            asked, output = receive(launcher)
        except ConnectionError:  # told to stop before it had asked
            launcher.close()
            return
        pid = os.fork()
        if pid == 0:
            launcher.close()
            self._leave()
            _work(asked, output)
        os.close(output)
        self._launchers[pid] = launcher
        self._selector.register(launcher, selectors.EVENT_READ, pid)
        with suppress(ConnectionError):
            launcher.sendall(pid.to_bytes(_PID_BYTES, "big"))

    def _leave(self) -> None:
        """The child holds nothing of the nursery's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._listener, self._woken, self._wake, *self._launchers.values()):
            each.close()
        self._selector.close()

    def _forsake(self, pid: int) -> None:
        """The launcher is gone: its worker goes at once."""
        self._selector.unregister(self._launchers[pid])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                launcher = self._launchers.pop(pid)
                with suppress(KeyError, ValueError):
                    self._selector.unregister(launcher)
                code = os.waitstatus_to_exitcode(status)
                with suppress(OSError):
                    launcher.sendall(code.to_bytes(_PID_BYTES, "big", signed=True))
                launcher.close()


def receive(launcher: socket.socket) -> tuple[dict[str, object], int]:
    """The request, which ends with a newline, and the file descriptor that came with it.

    Raises ConnectionError when the launcher goes before it has said all.
    """
    data, ancillary, _, _ = launcher.recvmsg(1 << 16, socket.CMSG_LEN(4))
    descriptors = array.array("i")
    for _, _, given in ancillary:
        descriptors.frombytes(given[:4])
    while not data.endswith(b"\n"):
        more = launcher.recv(1 << 16)
        if not more:
            for descriptor in descriptors:
                os.close(descriptor)
            raise ConnectionError("the launcher is gone")
        data += more
    asked: dict[str, object] = json.loads(data)
    return asked, descriptors[0]


def _work(asked: dict[str, object], output: int) -> None:
    code = 1
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.clear()
        os.environ.update(asked["environment"])  # type: ignore[arg-type]
        from tests.chaos.worker import main

        code = main(asked["arguments"])  # type: ignore[arg-type]
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    import workers.cpu.main
    import workers.gpu.main  # noqa: F401

    Nursery(sys.argv[1]).run()
