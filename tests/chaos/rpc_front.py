"""A proxy in front of one gRPC service: Pub/Sub, Cloud Tasks, Cloud Run Jobs. Unary calls, passed on as bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self

import grpc

from tests.chaos.breaking import Lost, Passage, Refused
from tests.chaos.calls import rpc_call
from tests.chaos.faults import Plan

_REFUSALS: Final = {429: grpc.StatusCode.RESOURCE_EXHAUSTED, 503: grpc.StatusCode.UNAVAILABLE}
#: Pulls wait here, each in a thread of its own.
_THREADS: Final = 64


class RpcFront(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Listens on a port of its own; `connect` says what it stands in front of."""

    def __init__(self, plan: Plan, part: str) -> None:
        self._part = part
        self._channel: grpc.Channel | None = None
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, f"front-{part}"), handlers=(self,))
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        self._passage: Passage[bytes] = Passage(plan, self.port)
        self._server.start()

    def connect(self, port: int) -> None:
        options = [("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 100)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(grace=None).wait()
        if self._channel is not None:
            self._channel.close()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda message, context: self._answer(details, message, context))

    def _answer(self, details: grpc.HandlerCallDetails, message: bytes, context: grpc.ServicerContext) -> bytes:
        call = rpc_call(self._part, details.method, message, int(context.peer().rpartition(":")[2]))
        timeout = context.time_remaining()

        def send() -> bytes:
            if self._channel is None:
                raise Lost
            asked = self._channel.unary_unary(details.method).future(message, timeout=timeout)
            # A caller that went away would leave a pull behind, which takes messages that nobody gets.
            if call.verb == "Pull" and not context.add_callback(asked.cancel):
                asked.cancel()
            answer: bytes = asked.result()
            return answer

        try:
            return self._passage.through(call, send)
        except Lost:
            context.abort(grpc.StatusCode.UNAVAILABLE, "cut on purpose")
        except Refused as refused:
            context.abort(_REFUSALS[refused.status], "refused on purpose")
        except grpc.FutureCancelledError:
            context.abort(grpc.StatusCode.CANCELLED, "the caller went")
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        raise AssertionError("abort raises")
