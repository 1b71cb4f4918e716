"""Upstreams, servers, addresses, ports, allocations, permissions, holds, and the only door to drivers. Does not know products."""
