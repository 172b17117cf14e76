"""Which model answers: the agent's own, else the organisation's, else the installation's, else none."""

from __future__ import annotations

from django.conf import settings

from agents.config import AgentConfig
from agents.llm.base import Backend
from agents.llm.registry import get_backend
from agents.models import Agent
from orgs.models import Organization


def backend_for(*, config: AgentConfig, agent: Agent, org: Organization) -> Backend:
    """The backend of a published version; raises agents.llm.base.ModelError where it is not usable."""
    alias = config.backend or org.model_backend or installation_default()
    if alias != "openai":
        return get_backend(alias)
    model = config.model or org.model_name or settings.HALO_MODEL
    if config.base_url:
        # SECURITY: a key belongs to the address it was entered for; draft and older versions may name other ones.
        key = agent.key_for(config.base_url)
        return get_backend(
            alias, base_url=config.base_url, api_key=key, model=model, pinned_public=not config.url_trusted
        )
    if org.model_base_url:
        return get_backend(
            alias,
            base_url=org.model_base_url,
            api_key=org.model_api_key,
            model=model,
            pinned_public=not org.model_url_trusted,
        )
    # A key without an address is meant for the installation's endpoint; one with an address never goes there.
    own_key = agent.key_for("") or org.model_api_key
    return get_backend(alias, api_key=own_key, model=model)


def installation_default() -> str:
    """`openai` where the environment names a model endpoint or key, else `extractive`."""
    return "openai" if settings.OPENAI_BASE_URL or settings.OPENAI_API_KEY else "extractive"
