"""A SingleHop LEAP account, or another Doublehop: LEAP API (2011) and Dropzone (2012)."""
