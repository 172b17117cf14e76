"""The WSGI application that gunicorn serves."""

from __future__ import annotations

import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "halo.settings")

application = get_wsgi_application()
# With all pages, so that they are loaded before the workers are forked and not with their first requests.
import_module("halo.urls")
