"""Marks for a folder of submissions, given so that nothing a submission does can earn or cost a mark unduly.

What a learner wrote runs in a sandboxed worker (`sandbox.worker`), which holds no right answer. The judge, which shares
no memory with it, sends inputs one case at a time (`sandbox.pool`) and compares what comes back. Between the two pass
bytes with a strict grammar (`exercise_checks.running.protocol`), and nothing else.
"""
