"""The doublehop command."""
