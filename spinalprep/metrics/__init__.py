"""Values of maps by region."""
