"""What networks are taught on: labelled images, a template, digital people."""
