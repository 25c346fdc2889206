"""The front door: one function per step, from a file to areas by level.

Thin: every number comes from the rooms of algorithms, by the calls that the App's tasks make, in
their order. What the App's files round between two steps is rounded here too, so that the results
are the same.
"""
