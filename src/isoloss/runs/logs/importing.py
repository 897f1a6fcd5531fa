"""Logs in, one table of runs out, and a list of everything that was dropped or looks doubtful."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from isoloss.errors import InputError, MissingExtra
from isoloss.runs.logs.find import find_logs
from isoloss.runs.logs.names import Ambiguous, choose_metric, of_use, plain_class, unit_in_name
from isoloss.runs.logs.read import read_log
from isoloss.runs.logs.record import Finding, Log, LoggedRun
from isoloss.runs.logs.reduce import Reduction, Row
from isoloss.runs.logs.result import ImportedRuns
from isoloss.runs.logs.rules import Rules, make_rules
from isoloss.runs.logs.table import make_runs
from isoloss.runs.rows import clean, short

_SHOWN = 12


def import_logs(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    metric: str = "eval",
    loss_unit: str | None = None,
    final: str = "auto",
    warmup: float | str = "auto",
    anneal: float = 0.1,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, float] | None = None,
    pattern: str | None = None,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    leave_out: Sequence[Path] = (),
    on_step: Callable[[str], None] | None = None,
) -> ImportedRuns:
    r"""Read training logs where they lie, and make one row of each run.

    Weights & Biases (offline files and exports), MLflow (file store and SQLite), TensorBoard,
    Hugging Face Trainer, Lightning's CSV logger, and plain CSV, JSON lines and Parquet. Files are
    told by content and only ever read; no package of these tools is needed.

    Parameters
    ----------
    paths
        Files and folders; folders are searched, links in them are not followed.
    metric
        ``"eval"`` (the held-out loss), ``"train"``, or a name, or a pattern with ``*``.
    loss_unit
        ``"nats"``, ``"bits"``, ``"base10"``, ``"perplexity"`` or ``"bpb"`` (bits per byte); the
        table holds nats. None: nats, and an error where the metric's name states another.
    final
        ``"last:K"``, ``"share:X"``, ``"ema:K"``; ``"auto"`` takes the last log of a held-out loss
        and the mean of the last 1 % of logs, ten at least, of a training loss.
    warmup
        Step before which logs are cut; ``"auto"``: where the logged learning rate first peaks.
    anneal
        Share of the peak learning rate above which a run counts as under-annealed.
    columns
        Axis -> metric, setting or number, where the usual names do not say it. Beside the axes of
        the table: ``step``, ``batch``, ``context``, ``planned``, ``lr``, ``tokenizer``,
        ``eval_set``.
    units
        Axis -> factor.
    pattern
        Template of run names, such as ``"lm-{N}-{D}-s{seed}*"``.
    keep, drop
        Codes of findings that shall not cost a run its row, or shall.
    leave_out
        Files that are not to be read, such as those about to be written.
    on_step
        Called with the name of each log.

    Returns
    -------
    ImportedRuns
        The runs and every finding.

    Raises
    ------
    InputError
        No log, no usable run, several metrics that could be meant, or losses that are not one
        measure; lists the candidates.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for n in (1, 2):
    ...         text = "step,tokens,val_loss\n100,1e5,4.0\n200,2e5," + f"{3.5 / n}\n"
    ...         _ = Path(folder, f"lm-{n}M.csv").write_text(text)
    ...     found = import_logs(folder, pattern="lm-{N}")
    >>> found.runs["N"].tolist(), found.runs["D"].tolist(), found.runs["loss"].tolist()
    ([1000000.0, 2000000.0], [200000.0, 200000.0], [3.5, 1.75])
    """
    rules = make_rules(
        metric=metric,
        loss_unit=loss_unit,
        final=final,
        warmup=warmup,
        anneal=anneal,
        columns=columns,
        units=units,
        pattern=pattern,
        keep=keep,
        drop=drop,
    )
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not listed:
        raise InputError("paths: name a file or a folder that holds logs")
    found = find_logs(listed, leave_out=leave_out)
    work = _Import(rules, list(found.findings), explicit={Path(p).absolute() for p in listed})
    for log in found.logs:
        if on_step is not None:
            on_step(f"reading {log.label}")
        work.read(log)
    work.check_metric()
    kept = work.finish()
    runs = make_runs(kept, work.findings, rules, ", ".join(short(str(p), 80) for p in listed[:3]))
    return ImportedRuns(
        runs=runs.runs,
        rows=tuple(runs.rows),
        findings=tuple(work.findings),
        rules=rules.to_dict(),
        found=work.seen,
        text_columns=runs.texts,
        sources=tuple(work.used.items()),
        policy=rules,
    )


@dataclass(slots=True)
class _Import:
    """What has been read so far; one run's curves are in memory at a time."""

    rules: Rules
    findings: list[Finding]
    explicit: set[Path]
    rows: list[Row] = field(default_factory=list)
    seen: int = 0
    ambiguous: dict[str, list[str]] = field(default_factory=dict)
    without: dict[str, list[str]] = field(default_factory=dict)
    used: dict[Log, dict[int, str]] = field(default_factory=dict)
    """Place in its log of each run that got a row, with its final name."""
    names: Counter[str] = field(default_factory=Counter)

    def wanted(self, name: str) -> bool:
        """Whether to keep the curve of a metric."""
        named = name == self.rules.metric or name in self.rules.columns.values()
        return named or of_use(name) or self._matches(name)

    def _matches(self, name: str) -> bool:
        if self.rules.metric in ("eval", "train"):
            return False
        return choose_metric([name], self.rules.metric)[0] is not None

    def read(self, log: Log) -> None:
        """Read all runs of a log."""
        try:
            for place, run in enumerate(read_log(log, self.wanted)):
                self.seen += 1
                if self._take(run):
                    self.used.setdefault(log, {})[place] = run.name
        except (InputError, MissingExtra) as error:
            direct = bool({path.absolute() for path in log.paths} & self.explicit)
            table = log.kind in ("table", "mlflow database") and not direct
            self.findings.append(
                Finding(
                    run=log.label,
                    source=log.label,
                    code="NOT_A_LOG" if table and isinstance(error, InputError) else "UNREADABLE",
                    severity="info" if table and isinstance(error, InputError) else "dropped",
                    reason=str(error),
                )
            )

    def _take(self, run: LoggedRun) -> bool:
        """Work a run out; return whether it got a row."""
        run.name = clean(run.name) or "unnamed"
        self.names[run.name] += 1
        if (count := self.names[run.name]) > 1:
            run.name = f"{run.name} ({count})"
            run.note(
                "SAME_NAME",
                "warning",
                f"{count} runs bear this name; this one got a number",
                "check that no run is counted twice",
            )
        try:
            metric, rivals = choose_metric(run.counts, self.rules.metric)
        except Ambiguous as error:
            self.ambiguous[run.name] = error.names
            return False
        if metric is None:
            self.without[run.name] = rivals
            remedy = "--metric NAME"
            if self.rules.metric == "eval" and rivals:
                remedy = "--metric train, or --metric NAME"
            shown = ", ".join(map(short, (rivals or list(run.counts))[:_SHOWN])) or "nothing"
            fatal = [note for note in run.notes if note[1] == "dropped"]
            code, _, reason, what = (
                fatal[0]
                if fatal
                else (
                    "NO_METRIC",
                    "",
                    f"no metric fits {self.rules.metric!r}; it logs {shown}",
                    remedy,
                )
            )
            self.findings.append(
                Finding(
                    run=run.name,
                    source=run.source,
                    code=code,
                    severity="dropped",
                    reason=reason,
                    remedy=what,
                )
            )
            return False
        unit = unit_in_name(metric)
        if unit and not self.rules.unit_given:
            raise InputError(
                f"{metric} of {run.name} is named as {unit}; say so with --loss-unit {unit}, or "
                "--loss-unit nats if it is not"
            )
        if rivals:
            run.note(
                "METRICS",
                "info",
                f"{metric} was taken of {', '.join([metric, *rivals[:8]])}",
                "for another, --metric NAME",
            )
        work = Reduction(run, self.rules)
        row = work.row(metric)
        self.findings += work.findings
        if row is not None:
            self.rows.append(row)
        return row is not None

    def check_metric(self) -> None:
        """Refuse to choose between metrics, and to mix them."""
        if self.ambiguous:
            name, fits = next(iter(self.ambiguous.items()))
            raise InputError(
                f"{len(self.ambiguous)} runs log several metrics that could be meant, such as "
                f"{short(name)}: {', '.join(map(short, fits[:_SHOWN]))}; choose one with --metric"
            )
        if self.rules.metric not in ("eval", "train"):
            return
        classes = Counter(plain_class(row.metric) for row in self.rows)
        if len(classes) > 1:
            shown = ", ".join(f"{short(n)} ({k} runs)" for n, k in classes.most_common(_SHOWN))
            raise InputError(
                f"the runs log different measures: {shown}; choose one with --metric, or --metric "
                "'PATTERN*' if they are the same"
            )

    def finish(self) -> list[Row]:
        """Leave out copies, and say so where nothing is left."""
        kept: dict[tuple[object, ...], Row] = {}
        rows = []
        for row in self.rows:
            key = (row.values.get("N"), row.values.get("D"), row.values["loss"], row.step)
            twin = kept.get(key)
            same = twin is not None and (
                (row.run_id and row.run_id == twin.run_id) or _bare(row.name) == _bare(twin.name)
            )
            severity = self.rules.severity("DUPLICATE_RUN", "dropped")
            if same and twin is not None:
                self.findings.append(
                    Finding(
                        run=row.name,
                        source=row.source,
                        code="DUPLICATE_RUN",
                        severity=severity,
                        reason=f"the same run as {twin.name} in {twin.source}",
                        remedy="name one copy, or --keep DUPLICATE_RUN",
                    )
                )
                if severity == "dropped":
                    continue
            kept.setdefault(key, row)
            rows.append(row)
        return rows


def _bare(name: str) -> str:
    base, sign, tail = name.rpartition(" (")
    return base if sign and tail[:-1].isdigit() else name
