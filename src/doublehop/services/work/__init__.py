"""What the worker does with operations: `loop` claims and goes on, `steps` takes each step, `sending` sends, `endings` settle."""

from doublehop.services.work.loop import JOBS, PERIODIC, sweep, work

__all__ = ["JOBS", "PERIODIC", "sweep", "work"]
