"""What PAM50 says: files, labels, level tables; the embedded generic template."""
