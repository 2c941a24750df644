"""The load of a run: clients that note each attempt, each answer and each poll, one JSON object a line."""
