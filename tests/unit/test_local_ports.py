from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from local.ports import LOOPBACK, Ports


def test_ports_of_local_clouds_side_by_side_never_meet() -> None:
    with ExitStack() as stack:
        clouds = [stack.enter_context(Ports()) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            taken = [
                port for ports in pool.map(lambda cloud: [cloud.take() for _ in range(100)], clouds) for port in ports
            ]
    assert len(set(taken)) == 400


def test_reserved_port_is_given_to_nobody_who_asks_for_any() -> None:
    with Ports() as ports, ExitStack() as stack:
        reserved = {ports.take() for _ in range(200)}
        given = {stack.enter_context(socket.create_server((LOOPBACK, 0))).getsockname()[1] for _ in range(500)}
        assert not reserved & given


def test_reserved_port_cannot_be_bound_by_a_program_that_does_not_share() -> None:
    with Ports() as ports, socket.socket() as greedy, pytest.raises(OSError, match="in use"):
        greedy.bind((LOOPBACK, ports.take()))


def test_server_may_listen_on_a_reserved_port_and_only_one_may() -> None:
    with Ports() as ports:
        port = ports.take()
        with socket.create_server((LOOPBACK, port)) as server:
            with socket.create_connection((LOOPBACK, port)), server.accept()[0]:
                pass
            with pytest.raises(OSError, match="in use"):
                socket.create_server((LOOPBACK, port))
