"""The words between us and any upstream. Knows no Django, no clients and no money."""
