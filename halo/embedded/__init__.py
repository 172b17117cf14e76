"""A real PostgreSQL and a real Valkey out of wheels, on Unix sockets in the data folder. Linux only.

Under the data folder:

    secrets.json                what `backup` must not forget
    run/ logs/                  pid files and logs of everything that `manage.py up` starts
    servers/postgres valkey     the servers' data, 0700, belonging to the user that runs the servers
    servers/run                 their sockets

As root the servers run as the system user `halo-db`, from a copy of their binaries under /var/lib/halo. Where that user
cannot reach the data folder (one below /root, say), `servers` is a symbolic link to a folder under /var/lib/halo.
"""

from halo.embedded.keys import ensure_secrets
from halo.embedded.places import EmbeddedError, Endpoints, locate

__all__ = ["EmbeddedError", "Endpoints", "ensure_secrets", "locate"]
