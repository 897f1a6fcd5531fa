"""What networks learn from: real sets, texts, folders, and generators of known truth."""
