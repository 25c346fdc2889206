"""What stages leave becomes derivatives: one small writer per stage, in one table."""
