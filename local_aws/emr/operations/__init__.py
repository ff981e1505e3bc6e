"""EMR's operations, a module a subject: a checked request in, EMR's answer out."""
