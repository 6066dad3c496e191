"""Grade a folder of submissions so that no submission can manipulate its own mark or anyone else's.

A learner's code runs in a sandboxed worker (`sandbox.worker`), which holds no right answer. The judge, a separate
process, sends inputs one case at a time (`sandbox.pool`) and compares the replies. All that passes between the two is
bytes in a strict format (`exercise_checks.running.protocol`).
"""
