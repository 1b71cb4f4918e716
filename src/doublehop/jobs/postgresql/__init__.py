"""The doorbell of an installation on PostgreSQL: Procrastinate's tables, and any number of workers on any number of hosts.

Procrastinate gives the tables with their guards, the worker's loop, the waking (LISTEN) and the signs of life. Ours is what it
has no word for: lanes, ringing a key that waits, and ticks shorter than a minute.
"""

from doublehop.jobs.postgresql.rows import ring, rung, waiting_jobs
from doublehop.jobs.postgresql.runner import Runner

__all__ = ["Runner", "ring", "rung", "waiting_jobs"]
