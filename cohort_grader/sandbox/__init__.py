"""Isolate the workers: with namespaces, seccomp, Landlock and resource limits on Linux, with less on other systems."""
