"""A small synthetic set in the shape of MAT, to try beam-mat with and for its tests."""

from beam_mat.sample.write import SampleSummary, write_sample

__all__ = ["SampleSummary", "write_sample"]
