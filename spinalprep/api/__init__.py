"""The Python interface: one function per step, from a file to areas by vertebral level.

The functions call the same algorithms as the tasks of the App, in the same order. Values that the
App rounds when it writes a file between two steps are rounded here too, so that the results are the
same.
"""
