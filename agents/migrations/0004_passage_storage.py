"""Embeddings stay in the row: fetching them from the side table was most of what a search cost."""

from __future__ import annotations

from django.db import migrations

FORWARD = """
ALTER TABLE agents_passage ALTER COLUMN embedding SET STORAGE MAIN;
ALTER TABLE agents_passage SET (toast_tuple_target = 8160);
"""
BACKWARD = """
ALTER TABLE agents_passage RESET (toast_tuple_target);
ALTER TABLE agents_passage ALTER COLUMN embedding SET STORAGE EXTERNAL;
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0003_guards")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
