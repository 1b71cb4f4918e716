"""REST v1: parses, asks queries and actions, answers. No rule of its own."""
