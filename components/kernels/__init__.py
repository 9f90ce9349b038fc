"""The attention core, softmax attention with operations on its map, in several implementations that agree.

Each offers `attend(query_BMTd, key_BMTd, value_BMTd, pre, post, *, dropout) -> y_BMTd`; `choice.py` says which runs.
`rows.py` is beside them: what a decoder does to each row of values on its own, compiled in the same library.
`substitute.py` says where compiled code may not stand for torch's own operations.
"""
