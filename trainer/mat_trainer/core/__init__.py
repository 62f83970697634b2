"""What a training run is: recipes, topologies, commands, manifests. Pure: reads nothing afar."""
