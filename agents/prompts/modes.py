"""How the way a visitor talks to the agent shapes the answer."""

from __future__ import annotations

MODES = {
    "chat": "Mode: chat. The visitor reads the answer in a small chat window.",
    "voice": (
        "Mode: voice. The answer is spoken aloud: two or three short sentences, no Markdown, no lists, no links; "
        "write numbers and signs the way they are said."
    ),
    "video": (
        "Mode: video. The answer is spoken aloud by an avatar: two or three short sentences, no Markdown, no lists, "
        "no links; write numbers and signs the way they are said."
    ),
    "livehelp": (
        "Mode: livehelp. Guide the visitor through the page step by step: one step at a time, naming exactly what to "
        "click, and wait for them before the next step; point at elements of the page where you can."
    ),
}
