"""Sources, their files and readings, articles and passages."""

from __future__ import annotations

import datetime as dt

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from pgvector.django import BitField, VectorField

from halo.ids import uuid7
from orgs.models import User
from orgs.tenancy import TenantModel

# all-MiniLM-L6-v2; another embedding model of another size is another column, by migration.
DIMENSIONS = 384
MAX_PAGES = 5000


class Source(TenantModel):
    """Where articles come from: a website, files, an import, a person's own writing."""

    class Kind(models.TextChoices):
        SITE = "site", "Website"
        UPLOAD = "upload", "Files"
        IMPORT = "import", "Import"
        MANUAL = "manual", "Written here"

    class Every(models.TextChoices):
        NEVER = "never", "Only when somebody asks"
        DAY = "day", "Every day"
        WEEK = "week", "Every week"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.IMPORT)
    # `db_default`: processes of the release before add sources too, and know nothing of these columns.
    address = models.URLField(
        max_length=1000,
        blank=True,
        default="",
        db_default="",
        help_text="The page to begin with, or the site's sitemap (an address that ends in .xml or .xml.gz). Pages of "
        "the same host are read; of an address with a path, those below that path.",
    )
    include = models.TextField(
        "only these paths",
        blank=True,
        default="",
        db_default="",
        max_length=4000,
        help_text="One a line, such as /help/* (the asterisk stands for anything). Empty: all of them.",
    )
    exclude = models.TextField(
        "never these paths",
        blank=True,
        default="",
        db_default="",
        max_length=4000,
        help_text="One a line, such as /blog/*. They win over those above.",
    )
    page_limit = models.PositiveIntegerField(
        "pages at most",
        default=500,
        db_default=500,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_PAGES)],
    )
    every = models.CharField("read again", max_length=10, choices=Every.choices, default=Every.WEEK, db_default="week")
    last_read_at = models.DateTimeField(null=True, blank=True, editable=False)
    next_read_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["org", "name"], name="source_name_unique"),
            models.CheckConstraint(
                condition=Q(page_limit__gte=1, page_limit__lte=MAX_PAGES), name="source_page_limit_in_range"
            ),
        ]
        indexes = [models.Index(fields=["next_read_at"], condition=Q(next_read_at__isnull=False), name="source_due")]

    def __str__(self) -> str:
        return self.name

    @property
    def holds(self) -> str:
        """How much would go with it, in words."""
        articles = Article.objects.for_org(self.org_id).filter(source=self).count()
        passages = Passage.objects.for_org(self.org_id).filter(article__source=self).count()
        files = SourceFile.objects.for_org(self.org_id).filter(source=self).count()
        parts = [(articles, "article"), (passages, "passage"), (files, "file")]
        return (
            ", ".join(f"{number:,} {noun}{'' if number == 1 else 's'}" for number, noun in parts if number)
            or "nothing yet"
        )

    def next_after(self, moment: dt.datetime) -> dt.datetime | None:
        """When a site that was read at `moment` is to be read again."""
        days = {Source.Every.DAY: 1, Source.Every.WEEK: 7}.get(Source.Every(self.every))
        return moment + dt.timedelta(days=days) if days and self.kind == Source.Kind.SITE else None


class SourceFile(TenantModel):
    """A file that somebody uploaded, with its bytes: a backup holds it, and it can be read again."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=200)
    size = models.PositiveIntegerField()
    data = models.BinaryField()
    uploaded_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "name"], name="source_file_name_unique")]

    def __str__(self) -> str:
        return self.name


class Article(TenantModel):
    """A document of the knowledge base, whole, as Markdown."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="articles")
    # Whose articles go when the file goes.
    file = models.ForeignKey(
        SourceFile, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="articles"
    )
    external_id = models.CharField("importer's own id", max_length=255)
    title = models.CharField(max_length=500)
    content = models.TextField(help_text="Markdown.")
    url = models.URLField("address", max_length=2000, blank=True, default="")
    # What the passages were made from: same hash, nothing to embed again. Empty: still to be read.
    content_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["org", "source", "external_id"], name="article_external_id_unique")
        ]
        indexes = [
            models.Index(fields=["org", "-updated_at", "id"], name="article_updated"),
            models.Index(fields=["updated_at"], condition=Q(content_hash=""), name="article_unread"),
        ]

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


class SourceRun(TenantModel):
    """One reading of a source. Nothing that it reads is searchable before it is done."""

    class Status(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Reading"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        STOPPED = "stopped", "Stopped"

    OPEN = (Status.QUEUED, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="runs")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)
    # Articles that seemed to be gone, too many to be believed at once.
    withheld = models.PositiveIntegerField(default=0)
    passages = models.PositiveIntegerField(default=0)
    # Why it failed, or what to know about how it went.
    note = models.TextField(blank=True, default="")
    # What a crawl must remember between two workers: robots.txt by origin, whether anything was cut short, and what
    # its results depend on beside the site.
    memory = models.JSONField(default=dict)
    # Goes up with each claim; whoever works on the run names the number that it was given.
    claim = models.PositiveIntegerField(default=0)
    in_hand = models.BooleanField(default=False)
    lost = models.PositiveSmallIntegerField(default=0)
    # When somebody should look after it if nothing has happened until then.
    due_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(status__in=["queued", "running"]), name="source_run_one_open"
            )
        ]
        indexes = [
            models.Index(fields=["source", "-created_at"], name="source_run_newest"),
            models.Index(fields=["due_at"], condition=Q(status__in=["queued", "running"]), name="source_run_due"),
        ]

    def __str__(self) -> str:
        return f"{self.get_status_display()}, {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        return self.status in SourceRun.OPEN


class SourceDocument(TenantModel):
    """A page or file of one reading: what is still to be read, and what became of the rest."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        READ = "read", "Read"
        PARTLY = "partly", "Partly read"
        SKIPPED = "skipped", "Left out"
        GONE = "gone", "Gone"
        FAILED = "failed", "Failed"

    run = models.ForeignKey(SourceRun, on_delete=models.CASCADE, related_name="documents")
    key = models.CharField("page or file", max_length=1000)
    file = models.ForeignKey(SourceFile, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    is_sitemap = models.BooleanField(default=False)
    tries = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    reason = models.TextField(blank=True, default="")
    articles = models.PositiveIntegerField(default=0)
    passages = models.PositiveIntegerField(default=0)
    # Of a page: how the site marks its state, and what its body said, so that it need not be sent again unchanged.
    # `db_default`: workers of the release before note pages too.
    etag = models.CharField(max_length=300, blank=True, default="", db_default="")
    modified = models.CharField("last modified", max_length=100, blank=True, default="", db_default="")
    links = ArrayField(models.TextField(), blank=True, default=list, db_default=[])
    article_ids = ArrayField(models.TextField(), blank=True, default=list, db_default=[])

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="source_document_key_unique")]
        indexes = [models.Index(fields=["run", "state", "tries", "id"], name="source_document_state")]

    def __str__(self) -> str:
        return self.key


class StagedArticle(TenantModel):
    """An article that a reading has brought, until all of them take their places at once."""

    class State(models.TextChoices):
        WAITING = "waiting", "To be embedded"
        SAME = "same", "Unchanged"
        READY = "ready", "Embedded"

    run = models.ForeignKey(SourceRun, on_delete=models.CASCADE, related_name="staged")
    document = models.ForeignKey(SourceDocument, on_delete=models.CASCADE, related_name="staged")
    external_id = models.CharField(max_length=255)
    title = models.CharField(max_length=500)
    content = models.TextField()
    url = models.URLField(max_length=2000, blank=True, default="")
    content_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    # [[heading, text], ...] and, as float32, one row of numbers for each.
    pieces = models.JSONField(default=list)
    vectors = models.BinaryField(default=b"")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "external_id"], name="staged_external_id_unique")]
        indexes = [
            models.Index(fields=["run", "content_hash"], name="staged_content"),
            models.Index(fields=["run", "state", "id"], name="staged_state"),
        ]

    def __str__(self) -> str:
        return self.external_id


class Guidance(TenantModel):
    """What all agents of an organisation are always shown, whatever is asked; never searched and never cited."""

    title = models.CharField(max_length=100)
    text = models.TextField(
        max_length=4000,
        help_text="In your own words, to the agent: “Offer a call when somebody is angry.” Agents follow it in every "
        "answer. Facts, prices and instructions for visitors belong into articles, where they can be cited.",
    )
    is_active = models.BooleanField("in use", default=True)
    position = models.PositiveIntegerField(default=0, help_text="They are shown from the lowest number up.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "guidance"
        indexes = [models.Index(fields=["org", "position", "id"], name="guidance_order")]

    def __str__(self) -> str:
        return self.title
