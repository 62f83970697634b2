"""Everything is in pyproject.toml; Dataflow's --setup_file asks for a setup.py."""

from setuptools import setup

setup()
