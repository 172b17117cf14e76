"""Filters of the analytics pages."""
