"""Processes: started as one group, watched, ended together; nodes that agree before they begin."""
