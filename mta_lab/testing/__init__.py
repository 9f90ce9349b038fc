"""Tests for everybody's components: each family's contract, and the paper's equations as loops.

`pytest --mta-component key_shift.py` runs the contracts over the components that a file registers.
For tests of your own: `oracle` holds the equations, `loops` applies them to a module's parameters,
`subjects` puts a component into the attention layer that shows it alone.
"""
