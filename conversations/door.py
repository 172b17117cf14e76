"""Refusing what would be refused anyway, before key and body are looked at."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import http_date

from conversations import admission
from halo.api.exceptions import bare_response
from halo.api.middleware import sane_id, sdk_headers
from halo.errors import Unavailable
from halo.web_worker import LET_IN, WAS_LET_IN

# What makes turns, and what reads one as it is answered. Whatever else visitors may ask for is answered under load too.
PATHS = frozenset({"/api/sdk/chat", "/api/sdk/chat/stream"})
READ_ALONG = re.compile(r"/api/sdk/chat/turns/[^/]+/stream")


_QUESTION = re.compile(rb"POST /api/sdk/chat(?:/stream)? HTTP/1\.1\r\n")
# What may be about a turn that is there already, or says of its connection or body what is not read here.
_LONG_WAY = re.compile(
    rb"\n(?:idempotency-key|transfer-encoding|content-encoding|expect|upgrade"
    rb"|connection(?!:[ \t]*keep-alive\r))[ \t]*:",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_GIVEN_ID = re.compile(rb"\nx-request-id:[ \t]*([^\r\n]*)", re.IGNORECASE)
# Stand-ins in a refusal; a request's id has none of their brackets.
_DATE, _SIZE, _ID = "<date>", "<length>", "<id>"


def refuse_at_once(arrived: Callable[[], bytes]) -> tuple[int, bytes] | None:
    """The refusal of a request whose bytes have `arrived`, and how many of them it is; LET_IN where it may come in.

    For the thread that hands connections to others: what all that costs is most of a refusal. None for what is not
    plain while there is reason to refuse: it goes the usual way, and is refused there.
    """
    refused = admission.doorman.knock()
    if refused is None:
        if not admission.doorman.is_careful or _QUESTION.match(arrived()):
            admission.doorman.let_in()
        return LET_IN
    request = arrived()
    head, end, body = request.partition(b"\r\n\r\n")
    # SECURITY: where gunicorn might see another end of the request than this, nothing is decided here: every line ends
    # in the one way, and there is one plain length.
    lengths = _LENGTH.findall(head)
    if not end or not _QUESTION.match(head) or _LONG_WAY.search(head) or head.count(b"\n") != head.count(b"\r\n"):
        return None
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 7 or int(lengths[0]) > len(body):
        return None
    admission.shed(refused.reason)
    given = _GIVEN_ID.search(head)
    request_id = sane_id(given[1].decode("latin-1") if given else "")
    told, length = _refusal(refused.retry_after)
    told = told.replace(_DATE, http_date()).replace(_SIZE, str(length + len(request_id))).replace(_ID, request_id)
    return len(head) + len(end) + int(lengths[0]), told.encode("latin-1")


@functools.cache
def _refusal(retry_after: int) -> tuple[str, int]:
    """A refusal as it is behind the door, with stand-ins, and how long its body is without the id.

    Making each anew took 60 microseconds of Python instead of 23.
    """
    answer = bare_response(503, request_id=_ID)
    headers = {
        "Date": _DATE,
        "Content-Type": answer["Content-Type"],
        "Content-Length": _SIZE,
        "Retry-After": str(retry_after),
        **sdk_headers(_ID),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    body = answer.content.decode()
    return f"HTTP/1.1 503 Service Unavailable\r\n{lines}\r\n{body}", len(body) - len(_ID)


class Door:
    """The first middleware behind the one that gives requests their ids; logs no line a refusal, but counts them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        reads_along = request.method == "GET" and READ_ALONG.fullmatch(request.path_info) is not None
        if not reads_along and (request.path_info not in PATHS or request.method != "POST"):
            return self.get_response(request)
        may_be_known = reads_along or "HTTP_IDEMPOTENCY_KEY" in request.META
        was_let_in = request.META.pop(WAS_LET_IN, False)
        try:
            if not was_let_in:
                admission.knock(may_be_known=may_be_known)
        except Unavailable as refused:
            response = bare_response(refused.status, request_id=request.halo_request_id)  # type: ignore[attr-defined]
            response["Retry-After"] = str(refused.retry_after)
            response["Content-Length"] = str(len(response.content))
            # Django would log an error for it, which cost more than the refusal itself.
            response._has_been_logged = True  # type: ignore[attr-defined]
            return response
        admission.hold(was_counted=(was_let_in or not may_be_known) and admission.doorman.is_careful)
        try:
            answered = self.get_response(request)
        except BaseException:
            admission.doorman.let_go()
            raise
        if answered.streaming:
            # The thread is held until the last byte has left, or the client has.
            answered._resource_closers.append(_once(admission.doorman.let_go))  # type: ignore[attr-defined]
        else:
            admission.doorman.let_go()
        return answered


def _once(let_go: Callable[[], None]) -> Callable[[], None]:
    """`let_go` however often it is called: who closes a stream in the middle may find its response closed again."""
    left = [let_go]

    def close() -> None:
        if left:
            left.pop()()

    return close
