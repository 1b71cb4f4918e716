"""The white-label panel of a client. A stranger to the admin panel."""
