"""All settings, from the environment; every one has a safe default, and docs/deploying.md explains them."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
import environ
import structlog
from django.core.exceptions import ImproperlyConfigured

from halo.db import PooledConnection
from halo.embedded import ensure_secrets, locate
from halo.rate_limits import parse as parse_rate_limits
from halo.unfold import UNFOLD as UNFOLD  # how the admin looks

# Lets `ModelAdmin[Agent]` and the like be written for the type checker.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def _positive(name: str, default: int) -> int:
    number: int = env.int(name, default=default)
    if number < 1:
        raise ImproperlyConfigured(f"{name} must be 1 or more.")
    return number


# --- Where things are ------------------------------------------------------------------------------------------------
HALO_DATA_DIR = Path(env.str("HALO_DATA_DIR", default=str(BASE_DIR / ".halo"))).absolute()
HALO_PORT = env.int("HALO_PORT", default=8000)
_embedded = locate(HALO_DATA_DIR)
DATABASE_URL = env.str("DATABASE_URL", default=_embedded.database_url)
REDIS_URL = env.str("REDIS_URL", default=_embedded.redis_url)

# --- Secrets: from the environment, else made once and kept in the data folder ---------------------------------------
SECRET_KEY = env.str("HALO_SECRET_KEY", default="")
# Newest first: the first key encrypts, all of them decrypt.
HALO_ENCRYPTION_KEYS = env.list("HALO_ENCRYPTION_KEYS", default=[])
if not SECRET_KEY or not HALO_ENCRYPTION_KEYS:
    _kept = ensure_secrets(HALO_DATA_DIR)
    SECRET_KEY = SECRET_KEY or _kept["HALO_SECRET_KEY"]
    HALO_ENCRYPTION_KEYS = HALO_ENCRYPTION_KEYS or _kept["HALO_ENCRYPTION_KEYS"].split(",")

# --- The public address derives hosts, CSRF origins and TLS ----------------------------------------------------------
DEBUG = env.str("HALO_DEBUG", default="") == "1"
HALO_PUBLIC_URL = env.str("HALO_PUBLIC_URL", default="").rstrip("/")
_public = urlsplit(HALO_PUBLIC_URL)
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS: list[str] = []
if _public.hostname:
    ALLOWED_HOSTS.append(_public.hostname)
    CSRF_TRUSTED_ORIGINS.append(f"{_public.scheme}://{_public.netloc}")
HALO_TLS = _public.scheme == "https"
# SECURITY: forwarded headers are believed only behind this many proxies of our own.
HALO_PROXIES = env.int("HALO_PROXIES", default=0)
if HALO_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = HALO_TLS and env.bool("HALO_TLS_REDIRECT", default=True)
# Asked from inside, by machines that know no TLS.
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if HALO_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HALO_TLS
SECURE_HSTS_PRELOAD = HALO_TLS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HALO_TLS
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        # SECURITY: never inline scripts; 'unsafe-eval' and inline styles are what unfold's Alpine needs.
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- The house -------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "orgs.admin_app.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "axes",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "halo",
    "orgs",
    "sessions",
    "agents",
    "conversations",
]
if importlib.util.find_spec("django_linear_migrations"):  # for those who write migrations
    INSTALLED_APPS.append("django_linear_migrations")
# The login is unique by a constraint on lower(email), which this check does not see.
SILENCED_SYSTEM_CHECKS = ["auth.W004"]
MIDDLEWARE = [
    "halo.api.middleware.ApiBoundary",
    "conversations.door.Door",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "halo.logs.AccessLog",
    "django.middleware.common.CommonMiddleware",
    # Behind it is what only pages need.
    "halo.api.middleware.ShortWay",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "halo.urls"
WSGI_APPLICATION = "halo.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
APPEND_SLASH = True
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "halo.formats"
STATIC_URL = "/static/"
# Served from the packages themselves, so that nothing has to be collected before a first start.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- PostgreSQL ------------------------------------------------------------------------------------------------------
# Where DATABASE_URL leads through a pooler that shares sessions, the process locks need an address that does not; and
# what one session has prepared another one may not know.
HALO_LOCK_DATABASE_URL = env.str("HALO_LOCK_DATABASE_URL", default="")
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
DATABASES["default"] |= {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        **DATABASES["default"].get("OPTIONS", {}),
        # The second time on one connection; concerns `halo.db.run` alone, as Django's cursors prepare nothing.
        "prepare_threshold": 1 if env.bool("HALO_DB_PREPARE", default=not HALO_LOCK_DATABASE_URL) else None,
        "pool": {
            "min_size": env.int("HALO_DB_POOL_MIN", default=1),
            "max_size": env.int("HALO_DB_POOL_MAX", default=8),
            "timeout": 3,
            "reconnect_timeout": 1,
            "connection_class": PooledConnection,
        },
        "options": "-c lock_timeout=5s -c idle_in_transaction_session_timeout=10s -c statement_timeout=15s",
    },
}

# --- Redis and Celery ------------------------------------------------------------------------------------------------
# kombu has words of its own for a socket and for the database behind it.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
if CELERY_BROKER_URL.startswith("redis+socket://"):
    CELERY_BROKER_URL = CELERY_BROKER_URL.replace("?db=", "?virtual_host=")
CELERY_IMPORTS = ["halo.hooks"]
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "conversations.tasks.answer_turn": {"queue": "llm"},
    "conversations.tasks.rehearse": {"queue": "llm"},
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A worker keeps what it has taken in mind, not in Redis. One that is killed loses it, as it may: each task is a
    # nudge to look at rows, and the sweep and beat look at them anyway (docs/adr/0015-queue-in-mind.md).
    "ack_emulation": False,
    "max_connections": 1000,
    # kombu would connect again and again by itself, which `retry=False` does not reach.
    "max_retries": 0,
    # A frozen Redis would otherwise block `.delay()` for ever.
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
}
CELERY_BEAT_SCHEDULE = {
    "housekeeping": {
        "task": "conversations.tasks.keep_house",
        "schedule": 3600.0,
        "options": {"expires": 3000, "queue": "default"},
    },
    "numbers": {
        "task": "conversations.tasks.add_up",
        "schedule": 900.0,
        "options": {"expires": 800, "queue": "default"},
    },
    "erasures": {
        "task": "conversations.tasks.erase",
        "schedule": 60.0,
        "options": {"expires": 50, "queue": "default"},
    },
    "sources": {
        "task": "agents.tasks.tend_sources",
        "schedule": 15.0,
        "options": {"expires": 12, "queue": "default"},
    },
    "outbox": {
        "task": "conversations.tasks.send_outbox",
        "schedule": 30.0,
        "options": {"expires": 25, "queue": "default"},
    },
    "snoozed": {
        "task": "conversations.tasks.wake_tickets",
        "schedule": 30.0,
        "options": {"expires": 25, "queue": "default"},
    },
    "thresholds": {
        "task": "conversations.tasks.set_thresholds",
        "schedule": 86_400.0,
        "options": {"expires": 80_000, "queue": "default"},
    },
}

# --- People ----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "orgs.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_IPWARE_PROXY_COUNT = HALO_PROXIES or None
AXES_IPWARE_META_PRECEDENCE_ORDER = ["HTTP_X_FORWARDED_FOR", "REMOTE_ADDR"] if HALO_PROXIES else ["REMOTE_ADDR"]
AXES_USERNAME_FORM_FIELD = "username"
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False
# Spelling variants of one e-mail address must not be counted as different logins.
AXES_USERNAME_CALLABLE = "orgs.logins.login_name"
# Otherwise one row of axes would grow without bound while somebody keeps trying.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_TEMPLATE = "admin/halo/locked_out.html"

# --- The HTTP API ----------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["halo.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["halo.api.renderers.PlainJSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "halo.api.renderers.AlwaysFirst",
    "EXCEPTION_HANDLER": "halo.api.exceptions.handle",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Halo SDK API",
    "DESCRIPTION": "What a website's visitors and widgets talk to. Every error is JSON of one shape.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/sdk",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
}
# Bodies are read and bounded by halo.api.body; this is Django's own second net, for forms of the admin.
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024

# `off`, or like `session=20,visitor=30,new=30,key=600` (a minute each; the organisation's own setting wins for `key`).
HALO_RATE_LIMITS = env.str("HALO_RATE_LIMITS", default="session=20,visitor=30,new=30,key=600")
parse_rate_limits(HALO_RATE_LIMITS)

# --- Load: what is above these is refused before anything is written (conversations/admission.py) ---------------------
HALO_TURNS = _positive("HALO_TURNS", 5000)
HALO_TURNS_PER_ORG = _positive("HALO_TURNS_PER_ORG", 2500)
HALO_TURNS_WAITING = _positive("HALO_TURNS_WAITING", 1000)
# A request holds a thread for as long as its turn is answered; threads that are not needed do not exist.
HALO_WEB_THREADS = _positive("HALO_WEB_THREADS", 1024)
# Visitors whose chat is open and who are told at once what happens in it, a web process; each holds a thread too.
HALO_WATCHERS = _positive("HALO_WATCHERS", 256)

# --- Metrics: off without a token -------------------------------------------------------------------------------------
HALO_METRICS_TOKEN = env.str("HALO_METRICS_TOKEN", default="")
if HALO_METRICS_TOKEN and len(HALO_METRICS_TOKEN) < 16:
    raise ImproperlyConfigured(
        "HALO_METRICS_TOKEN must have at least 16 characters: anybody could guess a shorter one."
    )

# --- Models ----------------------------------------------------------------------------------------------------------
OPENAI_BASE_URL = env.str("OPENAI_BASE_URL", default="")
OPENAI_API_KEY = env.str("OPENAI_API_KEY", default="")
HALO_MODEL = env.str("HALO_MODEL", default="")
HALO_MODEL_BACKENDS = {
    "openai": {
        "CLASS": "agents.llm.openai_backend.OpenAIBackend",
        "OPTIONS": {"base_url": OPENAI_BASE_URL, "api_key": OPENAI_API_KEY, "model": HALO_MODEL},
    },
    "extractive": {"CLASS": "agents.llm.extractive.ExtractiveBackend", "OPTIONS": {}},
}
# Hosts that an organisation's own model endpoint may have although they are private (Ollama, vLLM).
HALO_MODEL_HOSTS = env.list("HALO_MODEL_HOSTS", default=[])
# Hosts that crawling, custom tools and webhooks may reach although they are private, or without TLS.
HALO_OUTGOING_HOSTS = env.list("HALO_OUTGOING_HOSTS", default=[])

# --- Mail ------------------------------------------------------------------------------------------------------------
# A mail server that answers nothing must not hold a worker for ever.
EMAIL_TIMEOUT = 10
EMAIL_CONFIG = env.email_url("HALO_EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("HALO_EMAIL_FROM", default="halo@localhost")

# --- Logs: one JSON object a line, without headers, tokens or message text -------------------------------------------
# No line tells where in the source it was logged, by which thread or process; finding that out takes a third of the
# line's time: https://docs.python.org/3/howto/logging.html#optimization
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
HALO_LOG_LEVEL = env.str("HALO_LOG_LEVEL", default="INFO")
_shared: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            "foreign_pre_chain": _shared,
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "json"}},
    "root": {"handlers": ["console"], "level": HALO_LOG_LEVEL},
    "loggers": {
        # Django's own line for a 4xx repeats the path, which may hold a session id; ours is halo.logs.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "psycopg.pool": {"level": "ERROR"},
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
