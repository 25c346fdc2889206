"""The table of a paper, trained row by row on other data."""
