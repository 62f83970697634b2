"""Jobs for clusters: Slurm, Kubernetes, SkyPilot."""
