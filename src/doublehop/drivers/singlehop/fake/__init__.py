"""A provider for the tests of this driver."""
