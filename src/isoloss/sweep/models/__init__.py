"""Networks in torch, built from shapes."""
