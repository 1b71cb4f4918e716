"""Octets per fixed 300 s slot: collected, kept, added up. Knows slots and ports, not products."""
