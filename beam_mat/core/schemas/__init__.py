"""Schemas: shapes of records that people publish, each with a function that reads it."""
