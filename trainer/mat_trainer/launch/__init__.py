"""Processes and nodes: the rendezvous, starting and ending training, checkpoints to resume from."""
