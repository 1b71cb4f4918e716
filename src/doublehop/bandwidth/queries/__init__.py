"""All reads of bandwidth, split by noun."""

from doublehop.bandwidth.charts import Chart, Row, chart_data
from doublehop.bandwidth.queries.health import CollectionLine, collections_visible_to
from doublehop.bandwidth.queries.pictures import chart, csv_rows, daily_table

__all__ = [
    "Chart",
    "CollectionLine",
    "Row",
    "chart",
    "chart_data",
    "collections_visible_to",
    "csv_rows",
    "daily_table",
]
