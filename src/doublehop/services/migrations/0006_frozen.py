"""The database itself refuses to change what is frozen. An allowance is now the contract's."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

FROZEN = ("services_statement", "services_adjustment", "services_contractversion")


def refuse_changes(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for table in FROZEN:
            for verb in ("UPDATE", "DELETE"):
                schema_editor.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'statements and contracts are never changed'); END"
                )
        return
    schema_editor.execute(
        "CREATE FUNCTION services_frozen() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'statements and contracts are never changed'; END $$"
    )
    for table in FROZEN:
        schema_editor.execute(
            f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION services_frozen()"
        )


def allow_changes(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for table in FROZEN:
            for verb in ("UPDATE", "DELETE"):
                schema_editor.execute(f"DROP TRIGGER {table}_no_{verb.lower()}")
        return
    for table in FROZEN:
        schema_editor.execute(f"DROP TRIGGER {table}_frozen ON {table}")
    schema_editor.execute("DROP FUNCTION services_frozen()")


class Migration(migrations.Migration):
    dependencies = [("services", "0005_statements_from_before")]
    operations = [
        migrations.RemoveField("product", "allowance_gb"),
        migrations.RunPython(refuse_changes, allow_changes),
    ]
