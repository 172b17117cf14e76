"""Staff pages of agents, their versions and routing rules; those of knowledge are in agents/knowledge/admin/."""

from __future__ import annotations

from agents.admin import agents, routing, versions
from agents.knowledge import admin as knowledge

__all__ = ["agents", "knowledge", "routing", "versions"]
