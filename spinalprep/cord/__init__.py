"""The cord as a shape: centerline, straight space, cross-sections."""
