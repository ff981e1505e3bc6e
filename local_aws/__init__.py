"""The laptop stand-in for Amazon EMR and S3: one process, one port, real steps.

`python -m local_aws --help` says how to start it; docs/local-aws.md says what is like AWS and what is not.
It speaks the AWS API and nothing else: nothing here imports the rest of the project.
"""
