"""Suites that cross rooms."""
