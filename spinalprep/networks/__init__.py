"""From an image to probabilities: nets, weights with their cards, prediction."""
