"""JSON as it was sent: the database's `json`, which keeps the order of keys; `jsonb` sorts them."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django.db import models
from psycopg.types.json import Json


class OrderedJSONField(models.JSONField):
    """A JSON value whose objects keep their order: what a model or a client reads is what was written.

    Not for what is searched or compared: `json` has no equality.
    """

    def db_type(self, connection: Any) -> str:
        return "json"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        return Json(value, dumps=partial(json.dumps, cls=self.encoder))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        # psycopg has read `json` already, where Django leaves `jsonb` to its own field.
        return value
