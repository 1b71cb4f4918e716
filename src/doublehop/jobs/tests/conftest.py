"""What is about Procrastinate's own tables needs PostgreSQL; tests/test_postgresql.py runs it there."""

from django.db import connection

collect_ignore = [] if connection.vendor == "postgresql" else ["test_on_postgresql.py"]
