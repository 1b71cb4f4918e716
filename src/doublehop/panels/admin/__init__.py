"""The panel of an organisation's staff. A stranger to the client panel."""
