"""CloudWatch: metrics, queries, alarms and their evaluation."""
