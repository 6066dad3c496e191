"""Linux namespaces, seccomp, Landlock and resource limits around the workers, and what other systems can do."""
