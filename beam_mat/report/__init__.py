"""report.html: one page about a conversion's input, its output and its rejected records.

The page works offline. It can be made again at any time from the dataset's manifest, its images and
its statistics.json, to which the publishing command writes `Findings`.
"""
