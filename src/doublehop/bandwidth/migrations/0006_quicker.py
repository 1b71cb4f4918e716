from typing import Any

from django.db import migrations, models

# What is written anew each round, or seldom read, is noise that PostgreSQL tries in vain to make smaller. Packed days are
# read by the ten thousand: in their rows they are there at once.
_STORAGE = (
    ("bandwidth_block", "records", "EXTERNAL"),
    ("bandwidth_rawreading", "records", "EXTERNAL"),
    ("bandwidth_devicestate", "ports", "EXTERNAL"),
    ("bandwidth_chunk", "packed", "MAIN"),
)


def _store_well(apps: Any, schema_editor: Any) -> None:
    """Holds for rows that are written from now on."""
    if schema_editor.connection.vendor == "postgresql":
        for table, column, storage in _STORAGE:
            schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE {storage}")


class Migration(migrations.Migration):
    dependencies = [("bandwidth", "0005_claims")]

    operations = [
        # DeviceState says it.
        migrations.RemoveField(model_name="collection", name="last_round_at"),
        migrations.AddField(
            model_name="collection", name="refused", field=models.PositiveIntegerField(default=0)
        ),
        migrations.RunPython(_store_well, migrations.RunPython.noop),
    ]
