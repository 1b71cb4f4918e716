"""A transport without a network, for tests of drivers: a function answers."""

from collections.abc import Callable

import httpx


class ScriptedCarrier:
    """``HttpClient(url, transport=ScriptedCarrier(answer))``. ``requests`` keeps what was asked."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer
        self.requests: list[httpx.Request] = []
        self.wrote = False

    def begin(self, total_seconds: float) -> None:
        self.wrote = False

    def check_time(self) -> None:
        """Time does not pass here."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.wrote = True
        self.requests.append(request)
        answer = self._answer(request)
        # As from a wire: not yet read. One answer may be given many times.
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
        )

    def close(self) -> None:
        """Nothing is open."""
