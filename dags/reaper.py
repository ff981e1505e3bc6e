"""The Airflow DAG that ends clusters that outlived their need."""

from trainyard.dag_factory import reaper_dag

dag = reaper_dag(__file__)
