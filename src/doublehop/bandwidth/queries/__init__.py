"""All reads of bandwidth, split by noun."""

from doublehop.bandwidth.charts import Chart, Provided, Row, chart_data
from doublehop.bandwidth.queries.beside import Beside, Comparison, beside
from doublehop.bandwidth.queries.days import DayTotal, daily_totals
from doublehop.bandwidth.queries.health import CollectionLine, collections_visible_to
from doublehop.bandwidth.queries.pictures import chart, csv_rows, daily_table
from doublehop.bandwidth.queries.quarantine import Doubtful, doubtful, open_doubts
from doublehop.bandwidth.queries.talkers import Over, Talker, Talkers, talkers
from doublehop.bandwidth.queries.totals import has_bandwidth

__all__ = [
    "Beside",
    "Chart",
    "CollectionLine",
    "Comparison",
    "DayTotal",
    "Doubtful",
    "Over",
    "Provided",
    "Row",
    "Talker",
    "Talkers",
    "beside",
    "chart",
    "chart_data",
    "collections_visible_to",
    "csv_rows",
    "daily_table",
    "daily_totals",
    "doubtful",
    "has_bandwidth",
    "open_doubts",
    "talkers",
]
