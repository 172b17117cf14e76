"""Sources, articles and passages."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.utils import timezone
from pgvector.django import VectorField

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
    position = models.PositiveIntegerField()
    heading = models.CharField("heading path", max_length=500, blank=True, default="")
    text = models.TextField()
    embedding = VectorField(dimensions=DIMENSIONS)
    lexemes = models.GeneratedField(
        expression=SearchVector("heading", "text", config="english"), output_field=SearchVectorField(), db_persist=True
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["article", "position"], name="passage_position_unique")]
        indexes = [GinIndex(fields=["lexemes"], name="passage_lexemes")]

    def __str__(self) -> str:
        return f"{self.article_id} #{self.position}"
