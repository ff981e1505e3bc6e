"""What a fan-out of hundreds of models costs, beside the stock operators and dag-factory in the same run."""
