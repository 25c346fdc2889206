"""What networks are taught on: labelled images, a template, synthetic subjects."""
