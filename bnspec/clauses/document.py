"""The specification as one Markdown document, from the same source that the suite judges by. ``docs/specification.md`` is its output."""

from __future__ import annotations

import collections
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from bnspec.clauses import VERSION, Clause, Family

INTRODUCTION = f"""\
# Batch normalization and input normalization: the specification

Version {VERSION}

This document says what batch normalization, input normalization and their nearest relative compute: forward, backward, in
what they remember, and at the edges where implementations part. It is generated from `bnspec/clauses` and
`bnspec/clauses/families.py` by `make specification`; a test fails when it is stale. The equations stand once more as code, in
the files named at each family, and that code is what implementations are compared with.

## Scope

The layer normalises each channel of a batch over all other axes, scales and shifts it, and tracks statistics for inference.
Input normalization does the same to data, once, with the statistics of a training set. Layer normalization is included as
what is used where batches are small. How an implementation computes any of this, in which order, on which device, is free.

## Notation

| symbol | code | meaning |
|---|---|---|
| x, y | `x`, `y` | what goes into the layer and what comes out |
| g | `dy` | the cotangent: the gradient of a scalar loss L with respect to y |
| | `dx`, `dgamma`, `dbeta` | the gradients of L with respect to x, gamma and beta |
| m | `m`, `count` | elements per channel; a bar, or `mean(...)`, is the mean over them, and `sum(...)` their sum |
| | `axes` | the reduced axes: every axis but the channel axis |
| | `mean_B`, `var_B` | mean and population variance of the batch, one of each per channel |
| | `running_mean`, `running_var` | the tracked statistics; a prime marks the value after a step |
| a | `decay` | the weight that the old running value keeps |
| c | `correction` | what is subtracted from m in the divisor of the tracked variance: 0 or 1 |
| s | `inv_std` | 1 / sqrt(var + epsilon) |
| | `zhat` | the normalised value |
| u | `u` | the unit roundoff of an arithmetic |

## Levels

- **MUST**: the definition demands it. Results are compared within the bound below; bit by bit only where the law is exact.
- **SHOULD**: what good implementations do. Not to do it is no violation of the definition, but it hurts someone.
- **MAY**: a choice. It is recorded, and it is described here so that it means the same everywhere.

What a clause *depends on* are the fields of a backend's conventions (`bnspec/model/conventions.py`) in which correct implementations
differ; it is judged relative to them.

## How numbers are judged

No tolerance is chosen. Each element of each result is compared with the exact value, computed in quad precision from the same
inputs, and its error is divided by an a-priori bound for that element of that case: from the unit roundoffs of storage,
statistics and arithmetic, the number of terms that are summed, and the condition number |mean| / std. A result conforms where
that ratio is at most 1. There are three tiers of bounds (`bnspec/bounds/batch_norm.py` derives them):

| tier | admits | used by |
|---|---|---|
| lenient | any textbook formula in the precision of x, the one-pass variance mean(x^2) - mean(x)^2 included | MUST |
| permissive | any summation order of a stable algorithm: two-pass, Welford, merged, shifted by a sample | SHOULD |
| good | pairwise or blocked summation, or a wider accumulator | measured, not judged |

"Within the bound" below means the tier of the clause's level.

## Versions

The specification has a version of its own, major.minor, which every run records. The minor number moves when clauses are
added; the major number when a clause demands something else than before, is retired, or changes its level. Wording, reports
and tighter tests move neither. An id never changes its meaning: a retired one is not used again. *Since* is the version that
first made the demand as it stands.

## Where a clause is verified

- **backends**: a check of the suite judges every backend by it, on generated cases; `bnspec verify --clause ID` asks it alone.
- **specification**: the suite does not put this question to backends. A test holds the equations of this specification to it,
  in exact rational arithmetic wherever it is a law of real numbers.
- **both**: backends are asked, and a test holds the equations to it.
"""


def text(clauses: Sequence[Clause], families: Sequence[Family]) -> str:
    """The whole document.

    Args:
        clauses: in the order of the families.
        families: all those that the clauses belong to.

    Returns: Markdown, ending with a newline.
    """
    of_family: Mapping[str, list[Clause]] = collections.defaultdict(list)
    for clause in clauses:
        of_family[clause.family].append(clause)
    parts = [INTRODUCTION, *_contents(families, of_family)]
    for number, family in enumerate(families, 1):
        parts += [*_family(number, family), *(_clause(c) for c in of_family[family.name])]
    return "\n".join([*parts, *_index(clauses)]) + "\n"


def anchor(clause: Clause) -> str:
    """The clause's anchor in the document: its id with the dot as a hyphen, as a heading's would be."""
    return clause.id.replace(".", "-")


def _contents(families: Sequence[Family], of_family: Mapping[str, list[Clause]]) -> Iterator[str]:
    yield "## Contents\n"
    for number, family in enumerate(families, 1):
        count = len(of_family[family.name])
        yield f"{number}. [{family.title}](#family-{family.name}): {count} clause{'s' * (count != 1)}"
    yield "\n[Index of all clauses](#index)\n"


def _family(number: int, family: Family) -> Iterator[str]:
    yield f'<a id="family-{family.name}"></a>\n\n## {number}. {family.title}\n'
    yield _wrapped(family.intro)
    for formula in family.mathematics:
        yield f"```math\n{formula}\n```\n"
    if family.equations:
        yield f"As code: `{family.equations}`\n"


def _clause(clause: Clause) -> str:
    rows = [f"- why: {clause.rationale}", f"- source: {clause.source}"]
    if clause.depends:
        rows.append("- depends on: " + ", ".join(f"`{d}`" for d in clause.depends))
    rows += [f"- verified on: {clause.verified}", f"- since: {clause.since}"]
    if clause.catches:
        rows.append("- would have caught: " + ", ".join(f"[{c}]({_address(c)})" for c in clause.catches))
    formula = "\n".join(clause.formula_lines)
    head = f'<a id="{anchor(clause)}"></a>\n\n### `{clause.id}`\n'
    return "\n".join(
        [head, _wrapped(f"**{clause.level}.** {clause.statement}"), f"```text\n{formula}\n```\n", *rows, ""]
    )


def _index(clauses: Sequence[Clause]) -> Iterator[str]:
    levels = collections.Counter(c.level for c in clauses)
    asked = sum(c.asked for c in clauses)
    yield '<a id="index"></a>\n\n## Index\n'
    counts = ", ".join(f"{n} {level}" for level, n in levels.items())
    yield f"{len(clauses)} clauses: {counts}. Backends are asked about {asked} of them.\n"
    yield "| clause | level | verified on | statement |"
    yield "|---|---|---|---|"
    for c in clauses:
        statement = c.statement.replace("|", r"\|")
        yield f"| [`{c.id}`](#{anchor(c)}) | {c.level} | {c.verified} | {statement} |"


def _address(reference: str) -> str:
    """The page of a report, named ``owner/project#number``; GitHub leads from issues to pull requests."""
    project, _, number = reference.partition("#")
    return f"https://github.com/{project}/issues/{number}"


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False) + "\n"
