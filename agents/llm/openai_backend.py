"""Any OpenAI-compatible endpoint, through the OpenAI SDK's client. Nothing else imports `openai` (0.6 s, 44 MB)."""

from __future__ import annotations

import email.utils
import logging
import math
import os
import time
from collections.abc import Callable
from typing import Any, cast

import httpx2
import openai

from agents.llm.base import ModelError, ModelReply, ModelRequest
from agents.llm.reading import ReplyReader, kind_of, lines
from halo.outgoing.door import Door
from halo.outgoing.transport import Refusal, TooMuch, shared_transport

LAST_WORDS_SECONDS = 1.0  # for token counts and [DONE] after the model has said that it is finished
DRAIN_SECONDS = 0.05  # for the end of the body after [DONE], so that the connection can be used again

# Fields that some endpoints or models do not take, and what takes their place.
_OPTIONAL_FIELDS = {"stream_options": "", "temperature": "", "max_tokens": "max_completion_tokens"}

# SECURITY: it logs the address of every call, and a base URL's query may hold a key.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class OpenAIBackend:
    """Streams chat completions from one endpoint with one key and one model; made lazily in each process."""

    verbatim = False

    def __init__(self, *, base_url: str = "", api_key: str = "", model: str = "", door: Door | None = None) -> None:
        self._base_url = base_url or "https://api.openai.com/v1"
        self._api_key = api_key
        self._model = model
        self._door = door or Door()
        self._client: tuple[int, openai.OpenAI, str] | None = None
        self._unwanted: frozenset[str] = frozenset()  # fields that this endpoint has refused

    def stream(
        self, request: ModelRequest, *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """See Backend.stream. The deadline holds from the name look-up to the last byte."""
        reader = ReplyReader(self._model, on_text)
        try:
            response = self._ask(request, deadline)
            try:
                self._read(response, reader)
            finally:
                response.close()
            return reader.reply()
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            raise _connection_failure(error, reader) from error

    def _ask(self, request: ModelRequest, deadline: float) -> httpx2.Response:
        """An answer of status 200 whose body is still to be read."""
        unwanted = self._unwanted
        while True:
            body = self._body(request, unwanted)
            left = deadline - time.monotonic()
            if left <= 0:
                raise ModelError("timeout", "There was no time left to ask the model.")
            client, url = self._endpoint()
            try:
                response = client.post(
                    url,
                    cast_to=httpx2.Response,
                    body=body,
                    # The read time-out is the whole call's: see Transport.
                    options={"timeout": httpx2.Timeout(left)},
                    stream=True,
                    stream_cls=openai.Stream[Any],
                )
            except openai.APIStatusError as error:
                refused = _refused_field(error) if error.status_code in (400, 422) else ""
                if refused and refused not in unwanted:
                    unwanted |= {refused}
                    continue
                raise _status_failure(error) from None
            self._unwanted = unwanted
            # As `cast_to` asks: what it is typed as is never made.
            return cast(httpx2.Response, response)

    def _read(self, response: httpx2.Response, reader: ReplyReader) -> None:
        kind = response.headers.get("content-type", "").lower()
        hurry: Callable[[float], None] = response.extensions["hurry"]
        if "json" in kind:
            reader.read_whole(b"".join(response.iter_raw()))
            return
        if "text/event-stream" not in kind:
            raise reader.failure("broken", "The model's endpoint answered with neither JSON nor an event stream.")
        events = lines(response.iter_raw())
        try:
            for line in events:
                if reader.read_line(line):
                    break
                if reader.finish_reason:
                    hurry(time.monotonic() + LAST_WORDS_SECONDS)
            if not reader.full:
                hurry(time.monotonic() + DRAIN_SECONDS)
                for _ in events:
                    pass
        except httpx2.TransportError:
            # Once the model has said that it is finished, nothing that is missing matters.
            if not reader.finish_reason:
                raise

    def _body(self, request: ModelRequest, unwanted: frozenset[str]) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._model, "messages": request.messages, "stream": True}
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
                }
                for tool in request.tools
            ]
        optional = {
            "stream_options": {"include_usage": True},
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
        }
        for name, value in optional.items():
            if name in unwanted:
                name = _OPTIONAL_FIELDS[name]
            if name and value is not None:
                body[name] = value
        return body

    def _endpoint(self) -> tuple[openai.OpenAI, str]:
        """This process's client, and the whole address: the SDK joins a part to its base anew for each call."""
        pid = os.getpid()
        if self._client is None or self._client[0] != pid:
            client = self._connect()
            base = client.base_url
            url = base.copy_with(raw_path=base.raw_path + b"chat/completions")
            self._client = (pid, client, str(url))
        return self._client[1:]

    def _connect(self) -> openai.OpenAI:
        if not self._model:
            raise ModelError("rejected", "No model is named for this backend.")
        try:
            url = httpx2.URL(self._base_url)
        except httpx2.InvalidURL:
            raise ModelError("rejected", "The model's base URL is not valid.") from None
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise ModelError("rejected", "The model's base URL must be http(s), with a host and without credentials.")
        key = self._api_key.strip() or "none"  # for endpoints that ask for no key
        if not (key.isascii() and key.isprintable()):
            raise ModelError("rejected", "The model's API key holds characters that no key has.")
        return openai.OpenAI(
            base_url=url,
            # SECURITY: all credentials are named, as the SDK takes those that are not from the environment.
            api_key=key,
            admin_api_key="",
            default_headers={"Authorization": f"Bearer {key}"},
            max_retries=0,
            http_client=httpx2.Client(transport=shared_transport(self._door), trust_env=False, follow_redirects=False),
        )


def _status_failure(error: openai.APIStatusError) -> ModelError:
    status = error.status_code
    return ModelError(
        kind_of(status),
        f"The model's endpoint answered with status {status}.",
        retry_after=_retry_after(error.response.headers.get("retry-after", "")),
    )


def _connection_failure(error: Exception, reader: ReplyReader) -> ModelError:
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    if isinstance(cause, httpx2.TimeoutException):
        return reader.failure("timeout", "The model did not answer in time.")
    if isinstance(cause, Refusal):
        return reader.failure("rejected", "The model's base URL leads to an address that is not allowed.")
    if isinstance(cause, TooMuch):
        return reader.failure("broken", "The model's answer is too long, or compressed.")
    if reader.started:
        return reader.failure("cut", "The connection to the model broke in the middle of its answer.")
    return reader.failure("unavailable", "There was no connection to the model, or it broke.")


def _refused_field(error: openai.APIStatusError) -> str:
    """The optional field that a refusal of ours is about, as far as its text tells."""
    named = error.response.content[:4000]
    return next((name for name in _OPTIONAL_FIELDS if name.encode() in named), "")


def _retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header, which is a number or a date; None where it is neither."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else max(seconds, 0.0)
