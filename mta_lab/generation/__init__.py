"""Continue sequences: what a decoder keeps of the tokens that it has read, and the next one."""
