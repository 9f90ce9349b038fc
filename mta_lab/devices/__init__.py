"""The one place that knows devices.

`visible` finds GPUs and hands them out, without a CUDA context; `own` is the device that this
process computes on.
"""
