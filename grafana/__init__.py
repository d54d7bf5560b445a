"""Dashboards, made by `python -m grafana`; provisioning; the role that reads Postgres."""
