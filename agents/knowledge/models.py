"""Sources, articles and passages."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.utils import timezone
from pgvector.django import BitField, VectorField

from halo.ids import uuid7
from orgs.tenancy import TenantModel

# all-MiniLM-L6-v2; another embedding model of another size is another column, by migration.
DIMENSIONS = 384


class Source(TenantModel):
    """Where articles came from: a file, an import, a person's own writing."""

    class Kind(models.TextChoices):
        IMPORT = "import", "Imported file"
        MANUAL = "manual", "Written here"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.IMPORT)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "name"], name="source_name_unique")]

    def __str__(self) -> str:
        return self.name


class Article(TenantModel):
    """A document of the knowledge base, whole, as Markdown."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="articles")
    external_id = models.CharField("importer's own id", max_length=255)
    title = models.CharField(max_length=500)
    content = models.TextField(help_text="Markdown.")
    url = models.URLField("address", max_length=2000, blank=True, default="")
    # What the passages were made from: same hash, nothing to embed again.
    content_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["org", "source", "external_id"], name="article_external_id_unique")
        ]
        indexes = [models.Index(fields=["org", "-updated_at", "id"], name="article_updated")]

    def __str__(self) -> str:
        return self.title


class Passage(TenantModel):
    """A piece of an article that can be found and cited."""

    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="passages")
    # The article's; a trigger writes it, so that it is never another one.
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="+", editable=False, db_index=False)
    position = models.PositiveIntegerField()
    heading = models.CharField("heading path", max_length=500, blank=True, default="")
    text = models.TextField()
    embedding = VectorField(dimensions=DIMENSIONS)
    lexemes = models.GeneratedField(
        expression=SearchVector("heading", "text", config="english"), output_field=SearchVectorField(), db_persist=True
    )
    # Where each dimension is positive: what a search in large knowledge looks at first.
    bits = models.GeneratedField(
        expression=models.Func(
            "embedding", function="binary_quantize", template=f"%(function)s(%(expressions)s)::bit({DIMENSIONS})"
        ),
        output_field=BitField(length=DIMENSIONS),
        db_persist=True,
    )
    # Error codes, order numbers, names of settings: found as they are written, give or take case and dashes.
    identifiers = models.GeneratedField(
        expression=models.Func("heading", "text", function="halo_identifiers"),
        output_field=ArrayField(models.TextField()),
        db_persist=True,
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["article", "position"], name="passage_position_unique")]
        indexes = [
            # All that the first look of a search reads, side by side for each organisation and source.
            models.Index(fields=["org", "source"], include=["id", "bits"], name="passage_scan"),
            GinIndex(fields=["org", "identifiers"], name="passage_identifiers"),
            GinIndex(fields=["org", "lexemes"], name="passage_words"),
        ]

    def __str__(self) -> str:
        return f"{self.article_id} #{self.position}"
