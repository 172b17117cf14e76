"""Plain rows of an organisation that staff edit: written and audited in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from django.db import IntegrityError, transaction

from orgs import audit
from orgs.models import User
from orgs.services import Conflict
from orgs.tenancy import TenantModel

Row = TypeVar("Row", bound=TenantModel)


def add_row(*, row: Row, by: User | None) -> Row:
    """Stores an unsaved row; raises Conflict where a unique constraint of the database says no."""
    with _as_conflict(), transaction.atomic():
        row.save(force_insert=True)
        audit.record(
            org=row.org_id, actor=by, action=_action(row, "added"), target=row, after=audit.state(row, _columns(row))
        )
    return row


def change_row(*, row: Row, names: Iterable[str], by: User | None) -> Row:
    """Writes the named columns of `row`; raises Conflict where a unique constraint of the database says no."""
    names = [name for name in names if name in _columns(row)]
    if not names:
        return row
    with _as_conflict(), transaction.atomic():
        stored = type(row)._default_manager.select_for_update(no_key=True, of=("self",)).get(pk=row.pk, org=row.org_id)
        before = audit.state(stored, names)
        timestamps = [field.name for field in row._meta.concrete_fields if getattr(field, "auto_now", False)]
        row.save(update_fields=[*names, *timestamps])
        was, now_is = audit.changes(before, audit.state(row, names))
        if now_is:
            audit.record(org=row.org_id, actor=by, action=_action(row, "changed"), target=row, before=was, after=now_is)
    return row


@transaction.atomic
def delete_row(*, row: TenantModel, by: User | None) -> None:
    """Removes `row`; what it was stays in the audit."""
    audit.record(
        org=row.org_id, actor=by, action=_action(row, "deleted"), target=row, before=audit.state(row, _columns(row))
    )
    row.delete()


class _as_conflict:
    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IntegrityError):
            raise Conflict("There is one like this already, or it refers to something that is gone.") from error


def _action(row: TenantModel, verb: str) -> str:
    return f"{row._meta.model_name}.{verb}"


def _columns(row: TenantModel) -> list[str]:
    return [field.name for field in row._meta.concrete_fields if field.editable and field.name != "org"]
