"""The running half: one real process tree a step, its S3 folder, its logs."""
