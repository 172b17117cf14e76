"""Views of transcripts are kept, shared and deleted by their owners."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from conversations.models import SavedView
from orgs.models import AuditEntry, User
from tests.cast import Cast
from tests.conversations.talks import LIST, ids, shown, talk


def test_a_view_is_kept_opened_shared_and_deleted_by_its_owner(
    cast: Cast, ana: Client, as_: Callable[[User], Client]
) -> None:
    fits = talk(cast.acme, "refund", outcome="escalated")
    talk(cast.acme, "refund")
    back = "q=refund&outcome=escalated&after=1-x&junk=1"
    ana.post(reverse("transcripts-save-view"), {"name": "  Lost   refunds ", "back": back})
    view = SavedView.objects.get()
    assert (view.name, view.query, view.owner, view.is_shared) == ("Lost refunds", "q=refund&outcome=escalated", cast.ana, False)  # fmt: skip
    page = ana.get(LIST).content.decode()
    assert 'href="?q=refund&amp;outcome=escalated">Lost refunds' in page
    assert shown(ana.get(f"{LIST}?{view.query}")) == ids(fits)
    # Nobody else sees it until it is shared, and then they may open it and not delete it.
    sue = as_(cast.sue)
    assert "Lost refunds" not in sue.get(LIST).content.decode()
    SavedView.objects.update(is_shared=True)
    assert "Lost refunds" in sue.get(LIST).content.decode()
    delete = reverse("transcripts-delete-view", args=[view.pk])
    assert sue.post(delete).status_code == 404
    assert ana.post(delete).status_code == 302 and not SavedView.objects.exists()
    written = AuditEntry.objects.filter(action__startswith="view.").order_by("pk")
    assert list(written.values_list("action", flat=True)) == ["view.saved", "view.deleted"]


def test_a_view_needs_a_name_of_its_own_and_something_to_keep(cast: Cast, ana: Client) -> None:
    save = reverse("transcripts-save-view")
    for data in ({"name": "", "back": "q=a"}, {"name": "x" * 81, "back": "q=a"}, {"name": "Empty", "back": ""}):
        assert "error" in ana.post(save, data, follow=True).content.decode()
    ana.post(save, {"name": "Mine", "back": "q=a"})
    assert "already" in ana.post(save, {"name": "mine", "back": "q=b"}, follow=True).content.decode()
    assert SavedView.objects.count() == 1
