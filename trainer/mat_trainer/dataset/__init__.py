"""Datasets on this machine: resolving, staging, verifying, filtering by length."""
