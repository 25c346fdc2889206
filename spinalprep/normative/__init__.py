"""What the cord of healthy adults measures, and how far somebody is from them."""
