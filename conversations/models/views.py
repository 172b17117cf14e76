"""What staff keep of how they look at transcripts."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from halo.ids import uuid7
from orgs.models import User
from orgs.tenancy import TenantModel


class SavedView(TenantModel):
    """A search with filters under a name: its owner's own, or shared with everybody who reads transcripts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    # As an address has it; read like any other address, so that an old or odd one is harmless.
    query = models.CharField(max_length=2000, blank=True, default="")
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("org", "owner", Lower("name"), name="saved_view_name_unique"),
            models.CheckConstraint(condition=~Q(name=""), name="saved_view_has_name"),
        ]

    def __str__(self) -> str:
        return self.name
