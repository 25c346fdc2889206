"""Find inputs, name outputs, write derivatives."""
