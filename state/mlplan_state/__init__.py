"""Stores of bytes with compare-and-swap and locks. Ignorant of what the bytes mean."""
