"""The reference twin: an upstream in this process's memory."""
