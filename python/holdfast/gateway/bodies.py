"""Bodies: the bytes that follow a request's headers, within their bounds of size and time.

In: a request. Out: its whole body.
Always: no more than the bound is held in memory; a body that stops arriving is refused with 408 and the connection
ends; a body that is complete already is read without waiting.
"""

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError
from multidict import istr

from holdfast.gateway.refusals import Refusal, overloaded

CONTENT_ENCODING = istr("Content-Encoding")
CONTENT_LENGTH = istr("Content-Length")
TRANSFER_ENCODING = istr("Transfer-Encoding")
EXPECT = istr("Expect")


class BodyReader:
    """Reads bodies. `budget_bytes`: the most bytes of all bodies being received together."""

    def __init__(self, budget_bytes: int, retry_after_s: int) -> None:
        self.budget_bytes = budget_bytes
        self.retry_after_s = retry_after_s

    async def read(self, request: web.BaseRequest, bytes_max: int, timeout_s: float) -> bytes:
        """The whole body, at most `bytes_max` long, arrived within `timeout_s` seconds.

        Raises Refusal: 413 too-large, 415 unsupported-encoding, 408 request-timeout, 400 malformed-request, and 503
        overloaded when too many bodies are being received. ConnectionResetError when the client disconnects.
        """
        headers = request.headers
        if CONTENT_ENCODING in headers or TRANSFER_ENCODING in headers:
            _check_encodings(request)
        content = request.content
        if content.is_eof():
            body = content.read_nowait()
            if len(body) > bytes_max:
                raise _too_large(bytes_max)
            return body
        return await self._wait(request, bytes_max, timeout_s)

    async def _wait(self, request: web.BaseRequest, bytes_max: int, timeout_s: float) -> bytes:
        headers = request.headers
        if int(headers.get(CONTENT_LENGTH, 0)) > bytes_max:
            raise _too_large(bytes_max)
        if headers.get(EXPECT, "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(timeout_s):
                while chunk := await request.content.readany():
                    chunks.append(chunk)
                    size += len(chunk)
                    self.budget_bytes -= len(chunk)
                    if size > bytes_max:
                        raise _too_large(bytes_max)
                    if self.budget_bytes < 0:
                        raise overloaded(
                            "Too many large bodies are being received.",
                            retry_after_s=self.retry_after_s,
                            queue="bodies-bytes",
                            close=True,
                        )
        except TimeoutError:
            raise Refusal("request-timeout", close=True) from None
        except (RequestPayloadError, HttpProcessingError):
            raise Refusal("malformed-request", "The body's framing is invalid.", close=True) from None
        finally:
            self.budget_bytes += size
        return b"".join(chunks)


def _check_encodings(request: web.BaseRequest) -> None:
    coding = ",".join(request.headers.getall(CONTENT_ENCODING, [])).strip().lower()
    transfer = ",".join(request.headers.getall(TRANSFER_ENCODING, [])).strip().lower()
    if coding not in {"", "identity"} or transfer not in {"", "chunked"}:
        raise Refusal("unsupported-encoding", headers=b"Accept-Encoding: identity\r\n", close=True)


def _too_large(bytes_max: int) -> Refusal:
    return Refusal("too-large", f"A body may have {bytes_max:,} bytes here: split it.", close=True)
