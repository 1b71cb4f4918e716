"""A driver for tests: every part of the contract over plain HTTP."""
