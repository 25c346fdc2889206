"""Discs and vertebral levels."""
