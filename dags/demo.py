"""The portfolio portfolios/demo.yaml as an Airflow DAG."""

from trainyard.dag_factory import portfolio_dag

dag = portfolio_dag(__file__)
