"""Use what a learner wrote, in a child process with limits. Imports nothing else of the course."""
