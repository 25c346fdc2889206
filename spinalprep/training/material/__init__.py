"""What networks are taught on: labeled images, a template, synthetic subjects."""
