"""Pages: admin (staff of any organisation), client (white label), and the look they share."""
