"""Showing: terminal, page and paper."""
