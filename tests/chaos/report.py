"""The report of a run, in Markdown."""

from checker import measure


def render(run):
    """All of it. `run` has what `main.Run` gathered."""
    history, lines = run.history, [f"# Chaos: seed {run.options.seed}, {run.options.brokers} brokers, {run.seconds:.0f} s", ""]
    lines += ["**Nothing wrong.**" if not run.findings else f"**{len(run.findings)} findings**", ""]
    lines += [f"- {text}" for text in run.findings[:100]]
    if len(run.findings) > 100:
        lines.append(f"- and {len(run.findings) - 100} more")
    lines += ["", f"Again: `{run.command}`", "", "## What was seen", ""]
    if history:
        lines += _counts(history) + _gaps(history, run.steps)
    lines += ["", "## What was done", "", "| at | what |", "|---|---|"]
    lines += [f"| {at:.1f} s | {text.replace('|', '/')} |" for at, text in run.notes]
    if run.not_possible:
        lines += ["", "## What could not be done here", ""] + [f"- {kind}: {why}" for kind, why in run.not_possible.items()]
    return "\n".join(lines) + "\n"


def _counts(history):
    rows = ["| client | sent | acknowledged | unknown | failed | polled | commits |", "|---|---|---|---|---|---|---|"]
    for client in sorted({event["client"] for event in history.events}):
        of = [event for event in history.events if event["client"] == client]
        count = {op: sum(event["op"] == op for event in of) for op in ("send", "ack", "unknown", "fail", "committed")}
        polled = sum(len(event["r"]) for event in of if event["op"] == "poll")
        rows.append(f"| {client} | {count['send']} | {count['ack']} | {count['unknown']} | {count['fail']} | {polled} | {count['committed']} |")
    stored = sum(map(len, history.log.values()))
    rows += ["", f"{stored} records stored in {len(history.log)} partitions.", ""]
    raised = {producer: sorted(epochs) for producer, epochs in sorted(history.epochs().items()) if len(epochs) > 1}
    if raised:
        rows += [f"Producers that had to begin anew with another epoch: {', '.join(f'{producer} {epochs}' for producer, epochs in raised.items())}.", ""]
    return rows


def _gaps(history, steps):
    seconds = [end - begin for begin, end, _ in measure.gaps(history)]
    if not seconds:
        return ["No acknowledgements."]
    shares = ", ".join(f"p{share * 100:g} {measure.percentile(seconds, share):.3f} s" for share in (0.5, 0.99, 0.999))
    rows = [f"Time between acknowledgements of a partition: {shares}, longest {max(seconds):.1f} s.", ""]
    own = ", ".join(f"{client} {gap:.1f} s" for client, gap in sorted(measure.longest_by_client(history).items()))
    rows += [f"The longest one client waited: {own}.", ""]
    rows += ["| fault | times | longest time without an acknowledgement of a partition |", "|---|---|---|"]
    longest = measure.longest_by_fault(history, steps)
    for kind, gap in sorted(longest.items(), key=lambda item: -item[1]):
        rows.append(f"| {kind} | {sum(name == kind for _, name in steps)} | {gap:.1f} s |")
    return rows
