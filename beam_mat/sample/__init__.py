"""A made-up set in the shape of MAT, for trying beam-mat out and for its tests."""

from beam_mat.sample.write import SampleSummary, write_sample

__all__ = ["SampleSummary", "write_sample"]
