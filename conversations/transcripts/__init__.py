"""Transcripts for analysts: searched, filtered, kept as views, and read one after the other."""
