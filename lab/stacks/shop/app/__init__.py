"""The shop's application. A release is a copy of this folder; it knows nothing of where it runs but its environment."""
