"""A digital person with known truth."""
