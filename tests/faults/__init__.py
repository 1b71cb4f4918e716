"""Machines behind real sockets, and what becomes of instructions when a process, a connection or an answer is lost."""
