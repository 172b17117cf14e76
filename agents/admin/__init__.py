"""Staff pages of agents, their versions, routing rules and articles."""

from __future__ import annotations

from agents.admin import agents, articles, routing, versions

__all__ = ["agents", "articles", "routing", "versions"]
