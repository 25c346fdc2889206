"""From one frame to another; the only room that imports ants."""
