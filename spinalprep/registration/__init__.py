"""From one frame to another; the only room that imports ants.

A transform named ``t1w_to_t2w`` (file ``from-T1w_to-T2w_mode-image_xfm``) resamples a T1w image
onto the T2w grid; it maps points the other way, from the T2w world to the T1w world.
"""
