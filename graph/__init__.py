"""The agent: manager, worker and evaluator under LangGraph."""
