"""Who gets in where: every address of the admin by role, read (GET) and pressed (an empty POST)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

EVERYBODY = frozenset({"omar", "ada", "sue", "ana", "root"})
BUILDERS = EVERYBODY - {"ana"}
MANAGERS = BUILDERS - {"sue"}
OWNERS = MANAGERS - {"ada"}
EXPORTERS = EVERYBODY - {"sue"}
OPERATORS = frozenset({"root"})
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Model:
    """Who may do what on a model's pages; whoever may not read gets 404 for a row, as a stranger does."""

    read: frozenset[str]
    add: frozenset[str] = NOBODY
    change: frozenset[str] = NOBODY
    delete: frozenset[str] = NOBODY
    # Buttons above a row's page, and other addresses below it.
    buttons: tuple[tuple[str, frozenset[str]], ...] = ()


BUILT = {"read": EVERYBODY, "add": BUILDERS, "change": BUILDERS, "delete": BUILDERS}
MODELS: dict[str, Model] = {
    "orgs.organization": Model(MANAGERS, add=OPERATORS, change=MANAGERS),
    # The furnished row is the owner's, whom an admin leaves alone.
    "orgs.membership": Model(
        MANAGERS, add=MANAGERS, change=OWNERS, delete=OWNERS, buttons=(("new_password", MANAGERS),)
    ),
    "orgs.team": Model(**BUILT),
    "orgs.widgetkey": Model(BUILDERS, BUILDERS, BUILDERS, buttons=(("rotate", BUILDERS), ("revoke", BUILDERS))),
    "orgs.identitysecret": Model(MANAGERS, MANAGERS, MANAGERS, buttons=(("rotate", MANAGERS), ("revoke", MANAGERS))),
    "orgs.apikey": Model(MANAGERS, MANAGERS, MANAGERS, buttons=(("revoke", MANAGERS),)),
    "orgs.auditentry": Model(MANAGERS),
    "orgs.user": Model(OPERATORS, OPERATORS, OPERATORS, buttons=(("new_password", OPERATORS),)),
    "agents.agent": Model(
        EVERYBODY,
        BUILDERS,
        BUILDERS,
        buttons=tuple(
            product(
                ("try_draft", "publish_draft", "discard", "make_active", "activate", "pause", "retire"), (BUILDERS,)
            )
        ),
    ),
    "agents.agentversion": Model(EVERYBODY, buttons=(("roll_back", BUILDERS),)),
    "agents.routingrule": Model(**BUILT),
    # The furnished ones are brought by a source.
    "agents.article": Model(EVERYBODY, BUILDERS, delete=BUILDERS, buttons=(("read_again", BUILDERS),)),
    "agents.guidance": Model(**BUILT),
    "agents.source": Model(
        EVERYBODY,
        BUILDERS,
        BUILDERS,
        buttons=(
            ("progress", EVERYBODY),
            *product(("read_again", "add_files", "stop", "remove"), (BUILDERS,)),
        ),
    ),
    "agents.customtool": Model(**BUILT, buttons=(("try_it", BUILDERS),)),
    "chat_sessions.enduser": Model(EVERYBODY, BUILDERS, BUILDERS, buttons=(("protect", MANAGERS),)),
    "chat_sessions.company": Model(EVERYBODY, BUILDERS, BUILDERS),
    "chat_sessions.event": Model(EVERYBODY),
    "conversations.conversation": Model(
        EVERYBODY, buttons=tuple(product(("take_over", "hand_back", "close"), (BUILDERS,)))
    ),
    "conversations.ticket": Model(EVERYBODY, buttons=(("work", EVERYBODY),)),
    "conversations.cannedreply": Model(**BUILT),
    "conversations.webhook": Model(
        MANAGERS, MANAGERS, MANAGERS, MANAGERS, buttons=(("send_test", MANAGERS), ("rotate", MANAGERS))
    ),
    "conversations.outboxitem": Model(MANAGERS, buttons=(("repeat", MANAGERS),)),
}
# Pages of no model, one organisation at a time: name, who reads, who presses.
PLAIN: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "index": (EVERYBODY, NOBODY),
    "confidence": (EVERYBODY, NOBODY),
    "confidence_export": (EXPORTERS, NOBODY),
    "confidence_thresholds": (NOBODY, BUILDERS),
    "export": (EXPORTERS, NOBODY),
    "export_progress": (EXPORTERS, NOBODY),
    "install": (BUILDERS, NOBODY),
    "install_state": (BUILDERS, NOBODY),
    "privacy": (MANAGERS, NOBODY),
    "privacy_export": (MANAGERS, NOBODY),
    "privacy_erase": (NOBODY, MANAGERS),
}
# Actions on chosen rows.
BULK: dict[tuple[str, str], frozenset[str]] = {
    ("agents.routingrule", "turn_on"): BUILDERS,
    ("agents.routingrule", "turn_off"): BUILDERS,
    ("agents.routingrule", "delete_selected"): BUILDERS,
    ("agents.guidance", "take_out"): BUILDERS,
    ("agents.guidance", "delete_selected"): BUILDERS,
    ("agents.article", "delete_selected"): BUILDERS,
    ("agents.customtool", "delete_selected"): BUILDERS,
    ("orgs.team", "delete_selected"): BUILDERS,
    ("orgs.membership", "delete_selected"): MANAGERS,
    ("conversations.conversation", "close_chosen"): BUILDERS,
    ("conversations.cannedreply", "delete_selected"): BUILDERS,
    ("conversations.webhook", "delete_selected"): MANAGERS,
}
# Addresses that other tests hold to the same table, with the rows that they need.
ELSEWHERE = {
    "agents_article_preview": "test_sources_pages",
    "agents_source_reading": "test_sources_pages",
    "agents_source_file": "test_sources_pages",
    "conversations_conversation_image": "test_stranger",
    "conversations_conversation_turn": "test_trace_page",
    "conversations_conversation_turn_json": "test_trace_page",
    "conversations_conversation_judge": "test_judging",
    "try-agent": "test_publishing",
    "try-agent-state": "test_publishing",
    "try-tool": "test_trying_tools",
    "export_file": "test_export_page",
    "autocomplete": "test_stranger",
}
# Django's and unfold's own: the login, what belongs to one's own account, and what shows nothing of anybody.
OWN = {
    "login",
    "logout",
    "password_change",
    "password_change_done",
    "set_password",
    "jsi18n",
    "view_on_site",
    "app_list",
    "search",
}
