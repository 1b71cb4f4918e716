"""Servers and services of a Doublehop installation, from anywhere, by its REST API. Python's standard library alone."""

__version__ = "0.1.0"
