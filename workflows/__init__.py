"""Graphs: who feeds whom."""
