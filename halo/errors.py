"""The one error family: what is anticipated has a stable code and a sentence that may be shown."""

from __future__ import annotations


class HaloError(Exception):
    """An anticipated failure; `code` is a stable word, `message` a sentence fit for the caller's eyes.

    `status` is the HTTP status it is rendered with, `field` the request field to blame, `retry_after` whole seconds.
    """

    status = 400

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        field: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or type(self).status
        self.field = field
        self.retry_after = retry_after


class InvalidRequest(HaloError):
    """400: shape, type or limit; `field` says where when one field is to blame."""

    status = 400

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__("invalid_request", message, field=field)


class InvalidKey(HaloError):
    """401: the widget key is missing, unknown, revoked or not for this origin; one text for all."""

    status = 401

    def __init__(self) -> None:
        super().__init__("invalid_key", "The widget key is missing, not valid, or not allowed from this origin.")


class IdentityFailed(HaloError):
    """403: one text for every cause, so that nothing can be learnt by trying.

    `why` is a word for the organisation's own staff. SECURITY: no answer ever holds it.
    """

    status = 403

    def __init__(self, why: str = "") -> None:
        super().__init__("identity_failed", "The user's identity could not be verified.")
        self.why = why


class NotFound(HaloError):
    """404: unknown and foreign look the same."""

    status = 404

    def __init__(self, message: str = "There is nothing here.") -> None:
        super().__init__("not_found", message)


class RateLimited(HaloError):
    """429: too much, too soon."""

    status = 429

    def __init__(
        self, *, retry_after: int, message: str = "Too many requests; please wait a moment and try again."
    ) -> None:
        super().__init__("rate_limited", message, retry_after=retry_after)


class Unavailable(HaloError):
    """503: a dependency is away, the service sheds load, or the model failed for good."""

    status = 503

    def __init__(
        self, message: str = "The service is unavailable at the moment; please try again.", *, retry_after: int = 2
    ) -> None:
        super().__init__("unavailable", message, retry_after=retry_after)


class ModelTimeout(HaloError):
    """504: nothing answered in time."""

    status = 504

    def __init__(self) -> None:
        super().__init__("model_timeout", "The answer did not arrive in time; please try again.")
