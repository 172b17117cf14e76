"""Staff pages of what agents know."""

from __future__ import annotations

from agents.knowledge.admin.articles import ArticleAdmin
from agents.knowledge.admin.guidance import GuidanceAdmin
from agents.knowledge.admin.sources import SourceAdmin

__all__ = ["ArticleAdmin", "GuidanceAdmin", "SourceAdmin"]
