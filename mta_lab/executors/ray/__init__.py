"""Workers on a Ray cluster: many machines, or this one."""
