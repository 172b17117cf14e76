"""The chat endpoint: parse, one call, render."""
