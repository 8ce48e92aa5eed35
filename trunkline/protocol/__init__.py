"""Dialects: readers and writers of wire protocols. Pure; one dialect never imports another."""
