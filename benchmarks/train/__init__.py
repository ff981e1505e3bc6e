"""How long a training takes, whole process against whole process, and how well it ranks: `make bench-train`."""
