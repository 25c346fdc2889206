"""Numbers that algorithms and the settings share; a user may choose others."""

LESION_THRESHOLD = 0.9  # the probability that a lesion reaches
MIN_LESION_MM3 = 3.0  # smaller lesions are dropped
