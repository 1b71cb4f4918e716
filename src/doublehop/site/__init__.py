"""Settings, urls, wsgi: where the rooms are put together."""
