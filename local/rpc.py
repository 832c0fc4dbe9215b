"""gRPC servers that speak for a Google service, over the message classes that its client library ships.

The real clients talk to them when they are handed the channel, without credentials:
    channel = grpc.insecure_channel(server.address)
    CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))

Inside, messages are protobuf's own and not the proto-plus classes around them, which are several times slower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import grpc
import proto.message

from local.ports import LOOPBACK
from shared.errors import PermanentError

#: No call waits for anything but memory, so a few threads serve thousands of calls a second.
_THREADS: Final = 16

Item = TypeVar("Item")


class Refusal(PermanentError):
    """A call that is answered with a gRPC status and a sentence."""

    code = "refused"

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.grpc_status = status


@dataclass(frozen=True, slots=True)
class Method:
    """How one call is answered: a protobuf message in, a protobuf message out, or a Refusal raised."""

    #: The request's class: proto-plus, or plain protobuf.
    request: Any
    answer: Callable[[Any], Any]


#: Full service name, such as `google.cloud.tasks.v2.CloudTasks` → method name → what it does.
Services: TypeAlias = Mapping[str, Mapping[str, Method]]


class RpcServer:
    """An insecure gRPC server on a loopback port (0: any); it listens once constructed."""

    def __init__(self, services: Services, *, port: int = 0) -> None:
        # Without SO_REUSEPORT a second server on a port in use fails, instead of sharing its calls.
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, "rpc"), options=[("grpc.so_reuseport", 0)])
        for service, methods in services.items():
            handlers = {name: _handler(method) for name, method in methods.items()}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self.port: int = self._server.add_insecure_port(f"{LOOPBACK}:{port}")
        self._server.start()

    @property
    def address(self) -> str:
        """For `grpc.insecure_channel`."""
        return f"{LOOPBACK}:{self.port}"

    def close(self) -> None:
        """Stop answering, at once."""
        self._server.stop(grace=None).wait()


def not_found(what: str) -> Refusal:
    """NOT_FOUND, as the real services word it."""
    return Refusal(grpc.StatusCode.NOT_FOUND, f"Resource '{what}' was not found.")


def page(items: list[Item], *, size: int, token: str, default_size: int = 100) -> tuple[list[Item], str]:
    """One page of a listing, and the token of the next ("" after the last)."""
    start = int(token or 0)
    end = start + (size or default_size)
    return items[start:end], str(end) if end < len(items) else ""


def _handler(method: Method) -> Any:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method.answer(request)
        except Refusal as refusal:
            context.abort(refusal.grpc_status, refusal.message)

    request = method.request.pb() if isinstance(method.request, proto.message.MessageMeta) else method.request
    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=request.FromString, response_serializer=lambda message: message.SerializeToString()
    )
