"""What both APIs offer beyond the old ones, announced in the same words."""


def announced(commands: list[str]) -> dict[str, object]:
    return {
        "by": "doublehop",
        "version": 1,
        "server": commands,
        "dry_run": True,
        "units": {"bandwidth": "octets"},
    }
