"""From the name of a model backend in the settings to the object that answers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from agents.llm.base import Backend, ModelError
from halo.outgoing.door import Door


@lru_cache(maxsize=256)
def get_backend(
    alias: str, *, base_url: str = "", api_key: str = "", model: str = "", pinned_public: bool = False
) -> Backend:
    """The backend `settings.HALO_MODEL_BACKENDS[alias]`, imported when it is first asked for and kept.

    `{"CLASS": dotted path, "OPTIONS": {...}}`: the class is called with OPTIONS as keyword arguments, among which
    `base_url`, `api_key`, `model` are the installation's own. An argument given here takes its option's place.
    `pinned_public`: `base_url` is an organisation's own, and may only lead to public addresses, or to a host in
    `settings.HALO_MODEL_HOSTS`. Raises ModelError (rejected) for an alias that is not configured.
    """
    backends: Any = settings.HALO_MODEL_BACKENDS
    try:
        config = backends[alias]
    except KeyError:
        raise ModelError("rejected", f"There is no model backend named {alias!r} in the settings.") from None
    options: dict[str, Any] = dict(config.get("OPTIONS", {}))
    if base_url:
        # SECURITY: the installation's key belongs to the installation's endpoint; it is never sent to another.
        options |= {"base_url": base_url, "api_key": api_key}
        if pinned_public:
            hosts = (host.lower() for host in settings.HALO_MODEL_HOSTS)
            options["door"] = Door(public_only=True, exempt=frozenset(hosts))
    elif api_key:
        options["api_key"] = api_key
    if model:
        options["model"] = model
    backend: Backend = import_string(config["CLASS"])(**options)
    return backend
