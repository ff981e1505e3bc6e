"""The Airflow DAG by which a person takes a model back to an earlier version."""

from trainyard.dag_factory import rollback_dag

dag = rollback_dag()
