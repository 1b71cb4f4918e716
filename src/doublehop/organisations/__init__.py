"""Who exists, who sells to whom, staff, clients, sign-in and brands. Does not know machines."""
