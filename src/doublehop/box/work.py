"""What the worker would do, at once and in this process."""

from doublehop.bandwidth.collector import JOBS as BANDWIDTH_JOBS
from doublehop.bandwidth.totals import JOBS as TOTALS_JOBS
from doublehop.fleet.work import JOBS as FLEET_JOBS
from doublehop.jobs.engine import Engine
from doublehop.notices.work import JOBS as NOTICES_JOBS
from doublehop.services.counting import JOBS as COUNTING_JOBS
from doublehop.services.upkeep import JOBS as UPKEEP_JOBS
from doublehop.services.work import JOBS as SERVICE_JOBS


def run_jobs() -> None:
    """Until nothing is due. Bounded."""
    services = {**UPKEEP_JOBS, **COUNTING_JOBS, **SERVICE_JOBS}
    Engine({**FLEET_JOBS, **BANDWIDTH_JOBS, **TOTALS_JOBS, **NOTICES_JOBS, **services}).drain(
        timeout_seconds=90
    )
