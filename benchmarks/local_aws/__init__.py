"""How local_aws holds up with a thousand simulated clusters at once."""
