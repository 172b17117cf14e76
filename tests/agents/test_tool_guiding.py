"""What may be pointed at, and where a visitor may be led."""

from __future__ import annotations

import pytest

from agents.tools import guiding
from agents.tools.reading import BadCall

PAGE = "https://shop.example/cart?x=1"


@pytest.mark.parametrize(
    "selector", ["#reset-password", ".a > .b:nth-child(2)", "[data-id='x y']", "button[type=submit]"]
)
def test_a_selector_is_taken(selector: str) -> None:
    assert guiding.check_selector(f" {selector} ") == selector


@pytest.mark.parametrize(
    "selector",
    [
        "<img src=x>",
        "a{color:red}",
        "#a;b",
        "[x='",
        "a)",
        "javascript:alert(1)",
        "#a\nb",
        "#a\u2028b",
        "\\0",
        "@import",
        " ",
    ],
)
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(BadCall):
        guiding.check_selector(selector)


@pytest.mark.parametrize(
    ("url", "normalised"),
    [
        ("/settings/security", "/settings/security"),
        ("https://shop.example/a?b=c#d", "/a?b=c#d"),
        ("HTTPS://SHOP.example:443", "/"),
        ("help", "/help"),
        ("?page=2", "/cart?page=2"),
        ("/a/../../b", "/b"),
        ("/für uns", None),
        ("/für", "/f%C3%BCr"),
        ("https://help.example/x", "https://help.example/x"),
        ("https://help.example:443/x", "https://help.example/x"),
        *(
            (bad, None)
            for bad in ("//evil.example", "/\\evil.example", "\\\\evil.example", "/\tevil", "https:evil.example")
        ),
        *(
            (bad, None)
            for bad in ("javascript:alert(1)", "data:text/html,x", "mailto:a@b.example", "", "/.//evil.example")
        ),
        *(
            (bad, None)
            for bad in ("https://evil.example/", "https://shop.example.evil.example/", "http://shop.example/")
        ),
        *(
            (bad, None)
            for bad in ("https://shop.example:8443/", "https://a@shop.example/", "https://shop.example@evil.example/")
        ),
        *(
            (bad, None)
            for bad in (
                "https://[",
                "https://shop.example:99999/",
                "///evil.example",
                "https:///evil.example",
                "/a\x00",
            )
        ),
        *((bad, None) for bad in ("https://shop.example//evil.example", "java\nscript:x", "https://ѕhop.example/")),
    ],
)
def test_only_pages_of_the_same_site_are_led_to(url: str, normalised: str | None) -> None:
    def lead() -> str:
        return guiding.same_site(url, page=PAGE, origins=lambda: ["https://help.example"])

    if normalised is None:
        with pytest.raises(BadCall):
            lead()
    else:
        assert lead() == normalised


def test_without_a_known_page_only_paths_and_known_origins_are_led_to() -> None:
    assert guiding.same_site("/a", page="", origins=tuple) == "/a"
    for bad in ("help", "https://shop.example/a"):
        with pytest.raises(BadCall):
            guiding.same_site(bad, page="", origins=tuple)
