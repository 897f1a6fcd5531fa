"""``isoloss prune select``: which examples to keep, exactly as many as asked."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import DOUBT, OK, guarded, json_option, print_json, say

_SHARE = click.FloatRange(0, 1)


class Keep(click.ParamType):  # type: ignore[type-arg]
    """A share such as 0.3, or a whole number of examples."""

    name = "SHARE|COUNT"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Read it; mistakes are usage errors."""
        text = str(value)
        try:
            return int(text)
        except ValueError:
            pass
        try:
            number = float(text)
        except ValueError:
            self.fail(f"{text!r}: write a share such as 0.3, or a whole number", param, ctx)
        return int(number) if 1 < number < 1e18 and number == int(number) else number


@click.command("select")
@click.argument("scores", type=click.Path(path_type=str))
@click.option("--keep", type=Keep(), required=True, help="Share to keep, or how many.")
@click.option(
    "--policy", default="hard", show_default=True,
    type=click.Choice(["hard", "easy", "random", "middle", "stratified", "cluster"]),
    help="Which examples come first.",
)  # fmt: skip
@click.option("--labels", metavar="FILE", help="Class of each row, .npy; else those of SCORES.")
@click.option("--class-floor", type=_SHARE, default=0, help="Least share of an equal division.")
@click.option("--clusters", metavar="FILE", help="Cluster of each row, .npy; else as --labels.")
@click.option("--cluster-floor", type=_SHARE, default=0, help="The same for clusters.")
@click.option("--complexity", metavar="FILE", help="Complexity of each cluster, .npy.")
@click.option("--temperature", type=float, default=0.1, show_default=True, help="Of complexity.")
@click.option(
    "--noise-guard", type=click.FloatRange(0, 1, max_open=True), default=0,
    help="Share of the hardest rows that is never kept: wrong labels gather there.",
)  # fmt: skip
@click.option("--strata", type=click.IntRange(1, 1_000_000), default=50, show_default=True,
              help="Of the stratified policy.")  # fmt: skip
@click.option("--exclude", metavar="FILE", help="Ids that are out already, .npy.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of chance and ties; 0.")
@click.option("--out", metavar="FILE", help="Write the selection: .npy, .csv, .jsonl.")
@click.option(
    "--content", default="ids", show_default=True,
    type=click.Choice(["ids", "dropped", "rows", "uids", "mask", "record", "shards"]),
    help="What is written.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Write over a file that is there.")
@json_option
@guarded
def command(
    scores: str, keep: float, policy: str, labels: str | None, class_floor: float,
    clusters: str | None, cluster_floor: float, complexity: str | None, temperature: float,
    noise_guard: float, strata: int, exclude: str | None, seed: int, out: str | None,
    content: str, overwrite: bool, as_json: bool,
) -> int:  # fmt: skip
    """Keep exactly so many of the examples in SCORES, and say why each was kept or dropped.

    SCORES is a folder that holds manifest.json, or a CSV with columns id, score and perhaps label;
    high is hard. Nothing is changed in place: without --out only the counts are shown.
    """
    from isoloss.prune.scores_format import clusters_of, read_scores, shard_lengths
    from isoloss.prune.select_output import check_target, write_selection
    from isoloss.prune.selection import select

    if out:
        check_target(out, content, overwrite)
        _not_in_place(out, [scores, labels, clusters, complexity, exclude])
    table = read_scores(scores)
    over_clusters = bool(class_floor) and labels is None and table.labels is None
    if clusters is None and (over_clusters or cluster_floor or policy == "cluster"):
        beside = clusters_of(scores)
        clusters = None if beside is None else str(beside)
    if over_clusters and clusters is not None:
        say("note: the scores have no labels; --class-floor is taken over their clusters")
        class_floor, cluster_floor = 0.0, max(class_floor, cluster_floor)
    found = select(
        table, keep, policy=_policy(policy, strata, complexity, temperature),
        labels=_column(labels), class_floor=class_floor, clusters=_column(clusters),
        cluster_floor=cluster_floor, noise_guard=noise_guard,
        exclude=_excluded(table.ids, exclude), seed=seed,
    )  # fmt: skip
    answer: dict[str, Any] = {**found.to_dict(), "out": None}
    if out:
        arguments = {
            "keep": keep, "policy": policy, "class_floor": class_floor,
            "cluster_floor": cluster_floor, "noise_guard": noise_guard, "strata": strata,
            "temperature": temperature, "seed": seed,
        }  # fmt: skip
        write_selection(
            found, out, content=content, overwrite=overwrite,
            lengths=shard_lengths(scores) if content == "shards" else None,
            about={"made_by": _made_by(), "arguments": arguments, "input": _digest(found)},
        )  # fmt: skip
        answer["out"] = out
    if as_json:
        print_json(answer)
    else:
        _show(found, out)
    empty = [name for name, (rows, kept) in found.classes.items() if rows and not kept]
    if empty:
        names = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
        say(f"note: {len(empty)} classes keep no example: {names}; set --class-floor")
    return DOUBT if empty else OK


def _not_in_place(out: str, sources: list[str | None]) -> None:
    """Refuse to write over what is read, or into the folder of scores."""
    from pathlib import Path

    from isoloss.errors import InputError

    for path in (Path(out).resolve(), Path(f"{out}.json").resolve()):
        for source in sources:
            if source is not None and Path(source).resolve() in (path, path.parent):
                raise InputError(
                    f"--out {out}: would write over {source}, or into it; give another place"
                )


def _policy(name: str, strata: int, complexity: str | None, temperature: float) -> Any:
    from isoloss.errors import InputError
    from isoloss.prune.select_policy import ByCluster, Stratified

    if name == "stratified":
        return Stratified(strata=strata)
    if name != "cluster":
        return name
    if complexity is None:
        raise InputError("--complexity: the policy cluster needs it, one number for each cluster")
    return ByCluster(complexity=_column(complexity).tolist(), temperature=temperature)


def _column(path: str | None) -> Any:
    from pathlib import Path

    from isoloss.spectra.npy import read_npy

    return None if path is None else read_npy(Path(path))


def _excluded(ids: Any, path: str | None) -> Any:
    import numpy as np

    from isoloss.errors import InputError
    from isoloss.prune.scores_ids import as_ids, show_ids

    if path is None:
        return None
    gone = as_ids(_column(path))
    if (gone.dtype.kind == "S") != (ids.dtype.kind == "S"):
        raise InputError(f"--exclude: holds {gone.dtype}, and ids of the scores are {ids.dtype}")
    strangers = gone[~np.isin(gone, ids)]
    if strangers.size:
        raise InputError(
            f"--exclude: {strangers.size} ids are not among the scores: {show_ids(strangers)}"
        )
    return np.isin(ids, gone)


def _digest(selection: Any) -> str:
    """Digest of ids and scores, whatever files and order they came in."""
    import hashlib

    import numpy as np

    found = hashlib.sha256()
    for part in (selection.ids, selection.score):
        found.update(f"{part.dtype.str}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()


def _made_by() -> str:
    import isoloss

    return f"isoloss {isoloss.__version__}"


def _show(found: Any, out: str | None) -> None:
    cut = "" if found.cut is None else f", cut at score {found.cut:.6g}"
    say(f"{len(found)} of {found.ids.size} kept by {found.policy} of {found.metric}{cut}")
    for reason, count in found.reasons.items():
        say(f"  {reason}: {count}")
    if found.classes:
        shares = {name: kept / rows for name, (rows, kept) in found.classes.items()}
        least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        say(
            f"  of {len(shares)} classes, {least} keeps the least of its own, {shares[least]:.1%}, "
            f"and {most} the most, {shares[most]:.1%}"
        )
    if out:
        say(f"written: {out}, and how it was made: {out}.json")
