"""How an agent shows itself on the site: what clients read of its settings before anybody speaks."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from agents.config import AgentConfig

MOST_SUGGESTIONS = 6
LONGEST_SUGGESTION = 200
_COLOUR = RegexValidator(r"\A#[0-9a-fA-F]{6}\Z", "A colour in six hexadecimal digits, such as #2f5bea.")
_LANGUAGE = RegexValidator(r"\A[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z", "A language tag, such as en or en-GB.")


def check_suggestions(value: Any) -> None:
    """Raises ValidationError unless `value` is a list of a few short texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise ValidationError("A list of texts.")
    if len(value) > MOST_SUGGESTIONS:
        raise ValidationError(f"At most {MOST_SUGGESTIONS} messages.")
    if any(len(item) > LONGEST_SUGGESTION for item in value):
        raise ValidationError(f"A message has at most {LONGEST_SUGGESTION} characters.")


class Appearance(models.Model):
    """The columns of an agent that visitors see without asking anything."""

    class Position(models.TextChoices):
        RIGHT = "right", "Bottom right"
        LEFT = "left", "Bottom left"

    class Theme(models.TextChoices):
        AUTO = "auto", "As the visitor's device"
        LIGHT = "light", "Always light"
        DARK = "dark", "Always dark"

    greeting = models.CharField(
        max_length=500, blank=True, help_text="What visitors read when they open the chat, before anything was said."
    )
    suggested_messages = models.JSONField(
        default=list,
        blank=True,
        validators=[check_suggestions],
        help_text=f"One a line, {MOST_SUGGESTIONS} at most: questions that a visitor can send with one click before "
        "anything was said.",
    )
    live_help_label = models.CharField(
        "button for a person",
        max_length=60,
        blank=True,
        default="Talk to a person",
        help_text="What the button says with which a visitor asks for a person. It opens a ticket at once, without "
        "asking the agent, for the team of “Handing over”. Empty: no button; visitors can still ask in words.",
    )
    primary_colour = models.CharField(
        "colour",
        max_length=7,
        default="#2f5bea",
        validators=[_COLOUR],
        help_text="Of the button on the page, the visitor's messages and links. Black or white is written on it, "
        "whichever can be read better.",
    )
    dark_primary_colour = models.CharField(
        "colour in the dark",
        max_length=7,
        default="#8fabff",
        validators=[_COLOUR],
        help_text="The same where the chat is dark; a lighter tone of the colour reads well there.",
    )
    theme = models.CharField(
        "light or dark",
        max_length=5,
        choices=Theme.choices,
        default=Theme.AUTO,
        help_text="A page can choose for itself when it starts the widget.",
    )
    position = models.CharField(
        max_length=5,
        choices=Position.choices,
        default=Position.RIGHT,
        help_text="Where the button stands. A page can choose for itself when it starts the widget.",
    )
    avatar = models.CharField(
        max_length=8,
        blank=True,
        help_text="One or two letters, or an emoji, in the circle beside the agent's name. Empty: the first letter of "
        "the name.",
    )
    voice = models.CharField(
        max_length=100,
        blank=True,
        help_text="For sites that speak answers aloud: the name of the voice to use. Empty: the site chooses.",
    )
    voice_language = models.CharField(
        "language of the voice",
        max_length=35,
        blank=True,
        validators=[_LANGUAGE],
        help_text="Such as en-GB, for sites that speak answers aloud. Empty: the page's own language.",
    )

    class Meta:
        abstract = True


def appearance_of(config: AgentConfig) -> dict[str, Any]:
    """What everybody may know of a published agent: looks, first words, and what kinds of actions to expect.

    SECURITY: this is served without a key. Instructions, models, keys, thresholds and names of tools stay inside.
    """
    return {
        "name": config.name,
        "skills": _skills(config),
        "avatar_config": {"text": config.avatar or config.name.strip()[:1].upper()},
        "voice_config": {"voice": config.voice, "language": config.voice_language},
        "style": {
            "theme": config.theme,
            "position": config.position,
            "primary_color": config.primary_colour,
            "on_primary_color": readable_on(config.primary_colour),
            "dark_primary_color": config.dark_primary_colour,
            "dark_on_primary_color": readable_on(config.dark_primary_colour),
        },
        "greeting": config.greeting,
        "suggested_messages": list(config.suggested_messages),
        "live_help_label": config.live_help_label,
    }


def readable_on(colour: str) -> str:
    """Black or white, whichever contrasts more with `colour`; always at least 4.5:1 (WCAG 2.2, 1.4.3)."""
    channels = [int(part, 16) / 255 for part in re.findall("..", colour.removeprefix("#"))]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000000"


def _skills(config: AgentConfig) -> list[str]:
    """The kinds of actions that an answer of this agent may bring."""
    known = (
        ("highlight", config.may_guide),
        ("navigate", config.may_guide),
        ("create_ticket", config.may_open_tickets),
        ("custom", bool(config.tools)),
        # Whatever the setting, who asks for a person gets one.
        ("escalate", True),
    )
    return [name for name, may in known if may]
