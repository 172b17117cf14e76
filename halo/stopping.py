"""Whether this web process has been told to stop: what would otherwise go on for minutes ends then."""

from __future__ import annotations

import threading

# Set by halo.web_worker; nobody takes it back, as the process ends.
asked = threading.Event()
