"""The database itself refuses to change or remove a journal entry."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def refuse_changes(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            schema_editor.execute(
                f"CREATE TRIGGER journal_entry_no_{verb.lower()} BEFORE {verb} ON journal_entry "
                "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
            )
    else:
        schema_editor.execute(
            "CREATE FUNCTION journal_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$"
        )
        schema_editor.execute(
            "CREATE TRIGGER journal_entry_append_only BEFORE UPDATE OR DELETE ON journal_entry "
            "FOR EACH ROW EXECUTE FUNCTION journal_append_only()"
        )


def allow_changes(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            schema_editor.execute(f"DROP TRIGGER journal_entry_no_{verb.lower()}")
    else:
        schema_editor.execute("DROP TRIGGER journal_entry_append_only ON journal_entry")
        schema_editor.execute("DROP FUNCTION journal_append_only()")


class Migration(migrations.Migration):
    dependencies = [("journal", "0001_initial")]
    operations = [migrations.RunPython(refuse_changes, allow_changes)]
