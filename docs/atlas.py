"""Write the tables of the atlas page anew: ``python docs/atlas.py FOLDER``.

A page holds ``<!-- atlas: FAMILY -->`` and ``<!-- end -->``; the table goes between them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from isoloss.study.atlas import Atlas, atlas

PAGE = Path(__file__).with_name("atlas.md")
_MARK = re.compile(r"(<!-- atlas: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str, found: Atlas) -> str:
    """Put the table of each family between its marks."""
    there = {row.family for row in found.rows}

    def filled(m: re.Match[str]) -> str:
        return f"{m[1]}\n{found.markdown(m[2])}\n\n{m[3]}" if m[2] in there else m[0]

    return _MARK.sub(filled, text)


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text("utf8"), atlas(sys.argv[1])), "utf8")
