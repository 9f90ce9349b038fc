"""Compiled code for CPUs: C++ (`csrc/`), its build, its library, and the attention core's binding.

`csrc/README.md` shows how the C++ divides the work.
"""
