"""report.html: what went in, what came out and why not all, on one page that opens offline.

The page is a function of the dataset: its manifest, its statistics.json and its images. Whoever
publishes a dataset makes `Findings` of what the workers counted, and writes them down there; from
then on the page can be made anew.
"""

from beam_mat.report.findings import Findings, find
from beam_mat.report.page import render
from beam_mat.report.read import ReportData, collect, read
from beam_mat.report.write import write, write_page

__all__ = ["Findings", "ReportData", "collect", "find", "read", "render", "write", "write_page"]
