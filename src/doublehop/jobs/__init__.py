"""Named jobs and when they run. A row is the doorbell, never the truth. Knows nobody."""
