"""Another Doublehop, through its public API."""
