"""Measurements on real material, each from one command; nothing here is imported by the product."""
