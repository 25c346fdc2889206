"""What a map of lumbar structures means: is the region in view, which disc is which, measures."""
