"""The work of each step, as plain functions without Beam."""
