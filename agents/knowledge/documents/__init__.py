"""Bytes of a file or page into articles as Markdown; knows no Django, as it runs in a process of its own."""
