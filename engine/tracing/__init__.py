"""Finds the first operation in which two runs of one training differ: whatever it computes with, down to the bit.

    with Tracer(model) as tracer:                      # engine/tracing/tracer.py; the model is for names only
        train_one_step()
    first = tracer.records                             # list[Record], engine/tracing/records.py
    ...the same again in the other run → second
    verdict = compare(first, second)                   # engine/tracing/comparison.py; None: all is equal
    verdict.kind, verdict.number, verdict.first.name, verdict.first.module, verdict.first.phase, verdict.place

    with Tracer(model, watch=verdict.number) as tracer:    # a second replay keeps the tensors of that record
        train_one_step()
    tracer.kept                                        # dict[str, Tensor]: "input weight", "output 0" → copy on the CPU
    measure(kept_1[verdict.place], kept_2[verdict.place])  # engine/tracing/values.py: ulps, elements, the two values

Where both runs train in one process, `tracer.kept` of the two are at hand; else save them.

The package stands alone: standard library and torch, nothing else of the project, and the words of Python 3.9, since
it is loaded into the interpreter of a user's program, under another name than `engine`. `records` and `comparison` need
no torch.
"""
