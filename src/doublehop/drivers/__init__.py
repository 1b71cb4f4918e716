"""One folder per kind of upstream; a folder is its own registration. Knows driver_kit only."""
