"""gunicorn's settings: `gunicorn halo.wsgi -c halo/gunicorn_conf.py`, under `manage.py up` and in production alike."""

from __future__ import annotations

import os
import signal
from typing import Any

from halo import settings
from halo.embedded.processes import die_with_parent, file_limit

bind = os.environ.get("HALO_BIND") or f"127.0.0.1:{settings.HALO_PORT}"
workers = int(os.environ.get("HALO_WEB_WORKERS", "2"))
worker_class = "halo.web_worker.DeadlineWorker"
# A thread is held for as long as a turn is answered; see docs/deploying.md.
threads = settings.HALO_WEB_THREADS
backlog = 2048
# A request that waits for its turn has a connection to Redis beside its client's; some files are everybody's.
worker_connections = max(threads + 64, min(4096, (file_limit() - 256) // 2))
keepalive = 75
# Loaded once and forked: 40 MB less with two workers, and a lost worker is back at once. No thread and no connection
# may come to be while the application loads; `post_worker_init` is for those.
preload_app = True
# Turns end within 55 s of being accepted, so what is in flight at a deploy is still answered.
graceful_timeout = 60
timeout = 60
control_socket_disable = True
# Only `sendall` has the time-out of halo.web_worker.
sendfile = False
# X-User-Token may hold 8 KB.
limit_request_field_size = 16_380
limit_request_line = 8_190
# SECURITY: nobody's X-Forwarded-Proto is believed unless a proxy was configured.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS") or ("127.0.0.1,::1" if settings.HALO_PROXIES else "")
# The application logs requests itself, without session ids.
accesslog = None
_logging: dict[str, Any] = settings.LOGGING
logconfig_dict = {
    **_logging,
    "filters": {"no_client_text": {"()": "halo.web_worker.NoClientText"}},
    "loggers": {
        **_logging["loggers"],
        "gunicorn.error": {
            "level": "INFO",
            "handlers": ["console"],
            "filters": ["no_client_text"],
            "propagate": False,
        },
    },
}


def post_fork(server: Any, worker: Any) -> None:
    """A worker whose master was killed finishes its turns and lets go of the address."""
    # Until the worker has a handler of its own the master's is in place, which would swallow a stop.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(signal.SIGTERM)


def post_worker_init(worker: Any) -> None:
    """Starts what every web process runs beside its requests."""
    from halo import hooks  # models load only after django.setup(), which the application does  # noqa: PLC0415

    hooks.web_started()
    worker.at_once = hooks.at_once


def worker_exit(server: Any, worker: Any) -> None:
    """What the process has counted since it last told is not lost."""
    from halo import hooks  # as above  # noqa: PLC0415

    hooks.web_stopped()
