"""Messages to people under the right brand. Does not know machines."""
