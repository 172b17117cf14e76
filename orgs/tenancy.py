"""Tenancy is an argument: every tenant row names its organisation, every look-up carries it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.db import models

if TYPE_CHECKING:
    from orgs.models import Organization


class TenantQuerySet(models.QuerySet[Any]):
    """A queryset whose look-ups start with `for_org`."""

    def for_org(self, org: Organization | uuid.UUID) -> Self:
        """Rows of this organisation only."""
        # SECURITY: the organisation is in the query itself, so foreign and unknown rows cannot be told apart.
        return self.filter(org=org)


class TenantModel(models.Model):
    """A row that belongs to one organisation, for ever."""

    org = models.ForeignKey(
        "orgs.Organization",
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name="organisation",
    )

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        abstract = True


class GrowingTenantModel(TenantModel):
    """One of a table that grows with every message: each index of such a table is written several times a turn.

    None may be the beginning of another, so that the organisation has none of its own where others begin with it; and
    a reference that most rows have not is indexed only where it is there.
    """

    org = models.ForeignKey(
        "orgs.Organization",
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name="organisation",
        db_index=False,
    )

    class Meta:
        abstract = True
