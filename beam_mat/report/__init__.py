"""report.html: one page about a conversion's input, its output and its rejected records.

The page works offline and is made from the dataset alone: its manifest, its statistics.json and its
images. A command that publishes a dataset turns the workers' statistics into `Findings` and writes
these to statistics.json. The page can then be made again at any time.
"""
