"""Workers on a Slurm cluster: each is a job of an array, and a node of a Ray cluster."""
