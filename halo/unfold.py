"""How the staff pages look (django-unfold)."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Halo",
    "SITE_HEADER": "Halo",
    "SITE_SUBHEADER": "Support desk",
    "SITE_SYMBOL": "support_agent",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_HISTORY": True,
    "BORDER_RADIUS": "6px",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("halo/icon.svg")},
    ],
    "STYLES": [lambda request: static("halo/staff.css")],
    "SCRIPTS": [lambda request: static("halo/staff.js")],
    "COLORS": {
        "primary": {
            "50": "oklch(97.2% 0.015 245)",
            "100": "oklch(93.8% 0.032 245)",
            "200": "oklch(88.5% 0.06 245)",
            "300": "oklch(81% 0.1 245)",
            "400": "oklch(71% 0.14 247)",
            "500": "oklch(62% 0.17 250)",
            "600": "oklch(54% 0.18 254)",
            "700": "oklch(47.5% 0.165 256)",
            "800": "oklch(41% 0.135 257)",
            "900": "oklch(36.5% 0.105 258)",
            "950": "oklch(27.5% 0.075 259)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "orgs.staff_site.sidebar",
    },
}
