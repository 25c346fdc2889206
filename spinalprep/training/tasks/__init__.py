"""What differs between kinds of networks: one file each."""
