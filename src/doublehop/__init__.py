"""Doublehop: white-label reselling of dedicated servers."""

__version__ = "0.1.0"
