"""What happened and who did it: append-only plain values. Knows nobody."""
