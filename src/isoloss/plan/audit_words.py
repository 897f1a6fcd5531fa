"""An audit of a design in lines for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isoloss.plan.audit_parts import Question
    from isoloss.plan.audit_result import DesignAudit

_STATES = {"answered": "yes", "roughly": "roughly", "open": "no", "never": "never"}
_SHOWN_LEVERAGE = 0.5
_MOST = 3.0


def place_of(at: Mapping[str, float]) -> str:
    """Write resources: ``N = 1e+08, D = 2e+09``."""
    return ", ".join(f"{a} = {v:.3g}" for a, v in at.items())


def joined(words: list[str]) -> str:
    """Write a list: ``E, B and beta``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def open_sentence(names: list[str], directions: int) -> str:
    """Say which parameters no run tells apart."""
    if len(names) == 1:
        return f"{names[0]} changes no loss of these runs"
    one = "one of their combinations changes" if directions == 1 else (
        f"{directions} of their {len(names)} combinations change"
    )  # fmt: skip
    return f"{joined(names)} move together: {one} no loss of these runs, however often repeated"


def weak_sentence(
    changes: Mapping[str, tuple[float, bool]], moved: float, noise: float, floor: str
) -> str:
    """Say how far parameters may move together before any loss shows it.

    Parameters
    ----------
    changes
        Label to its change over one standard error, and whether that is a share of its value.
    """
    parts = [
        f"{n} {_percent(v)}" if share else f"{n} {v:+.2g}" for n, (v, share) in changes.items()
    ]
    text = f"{', '.join(parts)}"
    if len(parts) > 1:
        text += " together"
    text += (
        f": within one standard error, and no loss of the runs moves by more than "
        f"{100 * moved:.2g} % (noise of a run {100 * noise:.2g} %)"
    )
    return text + floor


def _percent(change: float) -> str:
    if abs(change) > _MOST:
        return f"by more than {100 * _MOST:.0f} %"
    return f"{100 * change:+.0f} %"


def summary(audit: DesignAudit) -> str:
    """Lines for people."""
    lines = [audit.sentence, f"{audit.n_runs} runs, {audit.n_configurations} configurations"]
    if audit.laws:
        shares = ", ".join(f"{n} {100 * w:.0f} %" for n, w in audit.laws.items())
        lines.append(f"laws: {shares} (weight by fit); numbers below are under {audit.law}")
    lines += [f"law left out: {name}: {why}" for name, why in audit.dropped.items()]
    if audit.noise is not None:
        lines.append(f"noise: {audit.noise.sentence}")
    if audit.target is not None:
        lines.append(audit.target.sentence)
    lines += _questions(audit)
    if audit.findings:
        lines.append("what is wrong with the design:")
        lines += [f"  {f.severity:<6} {f.code}: {f.message}; {f.remedy}" for f in audit.findings]
    if audit.directions:
        lines.append("what the runs do not tell apart:")
        lines += [f"  {d.sentence}" for d in audit.directions]
        if any("*" in d.sentence for d in audit.directions):
            lines.append(f"  (* the term at the middle of the runs, {place_of(audit.middle)})")
    heavy = [r for r in audit.leverage if r.leverage >= _SHOWN_LEVERAGE][:5]
    if heavy:
        lines.append("what decides its own fit (leverage; at 1 there is no check):")
        lines += [f"  {r.leverage:.2f}  {r.place}" for r in heavy]
    if audit.missing:
        lines.append("what is missing:")
        lines += [f"  {m.sentence}" for m in audit.missing]
    if audit.never:
        lines.append("no repeating of these runs identifies: " + "; ".join(audit.never))
    return "\n".join(lines)


def _questions(audit: DesignAudit) -> list[str]:
    if not audit.questions:
        return []
    wide = max(len(q.title) for q in audit.questions)
    errors = [q.shown(q.standard_error) for q in audit.questions]
    room = max([len("error"), *map(len, errors)])
    lines = [
        "what can be answered, with the standard error that the design gives:",
        f"  {'question':<{wide}}  {'':<8}{'value':>9}  {'error':>{room}}  {'laws':>8}  "
        f"{'runs again':>10}  rests on",
    ]
    for q, error in zip(audit.questions, errors, strict=True):
        value = f"{q.value:.3g}" if math.isfinite(q.value) else "-"
        between = f"{100 * q.between:.2g} %" if q.name == "loss" else f"{q.between:.2g}"
        again = f"x {q.again:.2f}" if math.isfinite(q.standard_error) else "-"
        if not math.isfinite(q.standard_error):
            between = "-"
        lines.append(
            f"  {q.title:<{wide}}  {_STATES[q.state]:<8}{value:>9}  {error:>{room}}  {between:>8}  "
            f"{again:>10}  {_rests(q)}".rstrip()
        )
    return lines


def _rests(q: Question) -> str:
    if not q.supports or not math.isfinite(q.standard_error):
        return ""
    first = q.supports[0]
    count = f"half on {q.half} configuration" + "s" * (q.half > 1)
    if not math.isfinite(first.without):
        return f"{count}; without {first.place} it is lost"
    return f"{count}; without {first.place} x {first.without:.2f}"
