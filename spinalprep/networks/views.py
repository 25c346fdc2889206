"""How many views of a window are looked at; in a module of its own, as torch takes long to load."""

VIEWS = 4  # of a window: as it is, mirrored, darker, brighter
LESION_VIEWS = 2  # as it is, mirrored
