"""What a lesion mask means."""
