"""Where a graph runs: in process, on Prism, Flink or Dataflow; how it starts, waits and ends."""
