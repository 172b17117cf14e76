"""What proves that somebody was erased: that it was done, and nothing of them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from halo.ids import uuid7
from orgs.models import User
from orgs.tenancy import TenantModel
from sessions.models import EndUser


class Erasure(TenantModel):
    """The erasing of one end user, and once it is done its receipt, which a trigger keeps as it is."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Empty when it is done: then there is nobody any more.
    end_user = models.ForeignKey(EndUser, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # Keyed hashes of their id and e-mail address: whoever has those can show that this was their erasing.
    proofs = ArrayField(models.CharField(max_length=64), default=list)
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    # How many rows of what.
    removed = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["end_user"], condition=Q(finished_at=None), name="erasure_one_open"),
        ]
        indexes = [models.Index(fields=["org", "-requested_at"], name="erasure_recent")]

    def __str__(self) -> str:
        return str(self.id)
