"""``isoloss power``: what JSON lists of two tables."""

import json

from cli.commands import DATA, SIZES, call, good, losses, write


def test_refused_rows_of_both_pilots_stand_in_the_json(tmp_path):
    first = write(tmp_path, good() + "1e8,1e9,nan\n", "a.csv")
    loss = 0.99 * losses(SIZES, DATA, seed=1)
    other = write(tmp_path, good(loss=loss.tolist()) + "1e8,1e9,0\n", "b.csv")
    found = call(
        "power", first, other, "--at", "C=1e21", "--effect", "1.05", "--law", "chinchilla", "--json"
    )
    said = json.loads(found.stdout)
    assert [(r["file"], r["code"]) for r in said["refused"]] == [
        (str(first), "NOT_FINITE"),
        (str(other), "NOT_POSITIVE"),
    ]
