"""What people read when a share of what a contract includes is reached. A client's mail names nobody but its brand."""

from collections.abc import Sequence

from doublehop.services.contract_words import number
from doublehop.services.models import PeriodUsage, UsageAlert

MOST_LINES = 50


def used(row: PeriodUsage) -> str:
    return f"{number(row.quantity, 1)} of {number(row.included)} {row.unit_name}"


def what(row: PeriodUsage) -> str:
    if row.service is None:
        return f"all services of {row.client.name} on {row.product.name}"
    return f"{row.service} ({row.service.shown_hostname})" if row.service.shown_hostname else str(row.service)


def sentence(row: PeriodUsage, alert: UsageAlert) -> str:
    if alert.kind == UsageAlert.Kind.FORECAST:
        return f"forecast above what is included: {_forecast(row)}, {used(row)} so far, {row.label}"
    return f"{alert.percent} % reached: {used(row)}, {row.label}"


def _forecast(row: PeriodUsage) -> str:
    if row.forecast_likely is None or row.forecast_low is None or row.forecast_high is None:
        return ""
    low, likely, high = (number(one, 1) for one in (row.forecast_low, row.forecast_likely, row.forecast_high))
    return f"about {likely} {row.unit_name} ({low} to {high})"


def client_mail(row: PeriodUsage, alert: UsageAlert) -> tuple[str, str]:
    """(subject, body)."""
    is_over = row.counted_at >= row.end
    name = what(row) if row.service else f"all your services on {row.product.name}"
    kind = "rate (95th percentile)" if row.method.startswith("p95") else "volume"
    lines = [
        f"Hello {row.client.name},",
        "",
        f"the bandwidth of {name} has reached {alert.percent} % of what is included.",
        "",
        f"Period: {row.label} ({row.zone}){', which is over' if is_over else ''}",
        f"{'Used in it' if is_over else 'Used so far'}: {used(row)}, counted by {kind}",
    ]
    if _forecast(row) and not is_over:
        lines.append(f"Forecast for the end of the period: {_forecast(row)}")
    lines += [
        "",
        "Nothing is switched off because of this. More than is included is charged as in your contract.",
    ]
    return f"Bandwidth: {alert.percent} % used, {name}", "\n".join(lines)


def staff_mail(alerts: Sequence[UsageAlert]) -> tuple[str, str]:
    """(subject, body). Several alerts of one period are one line, with the highest."""
    last: dict[int, UsageAlert] = {}
    for alert in alerts:
        known = last.get(alert.usage_id)
        if known is None or alert.kind == UsageAlert.Kind.REACHED:
            last[alert.usage_id] = alert
    lines = [
        f"* {what(one.usage)}, {one.usage.client.name}: {sentence(one.usage, one)}" for one in last.values()
    ]
    more = len(lines) - MOST_LINES
    shown = [*lines[:MOST_LINES], *([f"* and {more} more"] if more > 0 else [])]
    many = f"{len(lines)} services have" if len(lines) > 1 else f"{what(alerts[-1].usage)} has"
    body = [
        "Nothing was suspended or charged because of this:",
        "",
        *shown,
        "",
        "The whole list stands under Bandwidth in the panel.",
    ]
    return f"{many} reached a bandwidth alert", "\n".join(body)
