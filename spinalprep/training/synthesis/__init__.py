"""Material becomes images of any contrast, resolution and field of view."""
