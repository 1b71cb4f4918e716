"""Products, services, their life, their operations and the work that moves them."""
