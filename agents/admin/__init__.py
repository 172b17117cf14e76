"""Staff pages of agents, their versions and routing rules; those of knowledge and of custom tools are in
agents/knowledge/admin/ and agents/tools/admin.py."""

from __future__ import annotations

from agents.admin import agents, routing, versions
from agents.knowledge import admin as knowledge
from agents.tools import admin as tools

__all__ = ["agents", "knowledge", "routing", "tools", "versions"]
