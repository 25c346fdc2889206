"""A synthetic subject with known truth."""
