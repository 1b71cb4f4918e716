"""The product as people meet it: a whole installation, a real browser, machines that really answer."""
