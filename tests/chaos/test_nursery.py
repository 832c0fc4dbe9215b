"""What a nursery is asked, whole or cut short: a launcher may be told to stop at any moment."""

from __future__ import annotations

import array
import os
import socket
from pathlib import Path

import pytest

from tests.chaos.nursery import receive


def test_a_request_comes_with_its_output_in_however_many_pieces(tmp_path: Path) -> None:
    launcher, nursery = socket.socketpair()
    with launcher, nursery, (tmp_path / "output").open("w") as output:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [output.fileno()]))]
        launcher.sendmsg([b'{"arguments": '], rights)
        launcher.sendall(b"[]}\n")
        asked, descriptor = receive(nursery)
    assert asked == {"arguments": []}
    os.write(descriptor, b"a word")
    os.close(descriptor)
    assert (tmp_path / "output").read_text() == "a word"


@pytest.mark.parametrize("said", [b"", b'{"arguments": '])
def test_a_launcher_that_goes_before_it_has_asked_is_told_and_leaves_nothing_open(said: bytes) -> None:
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    launcher, nursery = socket.socketpair()
    with nursery:
        if said:
            launcher.sendmsg([said], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])
        launcher.close()
        with pytest.raises(ConnectionError):
            receive(nursery)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
