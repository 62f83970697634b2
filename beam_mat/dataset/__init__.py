"""The output folder: its states, its log of commits, and the views of the log."""
