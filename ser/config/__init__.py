"""Typed configuration: YAML in, frozen sections out."""
