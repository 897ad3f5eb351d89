"""A trial, from recipe to predictions; the only room with Lightning."""
