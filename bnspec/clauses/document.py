"""Renders the clauses as one Markdown document, ``docs/specification.md``."""

from __future__ import annotations

import collections
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from bnspec.clauses import VERSION, Clause, Family

INTRODUCTION = f"""\
# Batch normalization and input normalization: the specification

Version {VERSION}

This document specifies batch normalization, input normalization and layer normalization: forward pass, backward pass, state,
and the edge cases where implementations differ. `make specification` generates it from `bnspec/clauses` and
`bnspec/clauses/families.py`; a test fails when it is stale. Each family names the file that implements its equations; the
suite compares implementations with that code.

## Scope

The layer normalises each channel of a batch over all other axes, scales and shifts it, and tracks statistics for inference.
Input normalization does the same to data, once, with the statistics of a training set. Layer normalization is included
because it replaces batch normalization where batches are small. Implementations are free to choose algorithm, order and device.

## Notation

| symbol | code | meaning |
|---|---|---|
| x, y | `x`, `y` | the layer's input and output |
| g | `dy` | the cotangent: the gradient of a scalar loss L with respect to y |
| | `dx`, `dgamma`, `dbeta` | the gradients of L with respect to x, gamma and beta |
| m | `m`, `count` | elements per channel; a bar, or `mean(...)`, is the mean over them, and `sum(...)` their sum |
| | `axes` | the reduced axes: every axis but the channel axis |
| | `mean_B`, `var_B` | mean and population variance of the batch, one of each per channel |
| | `running_mean`, `running_var` | the tracked statistics; a prime marks the value after a step |
| a | `decay` | the weight of the old running value |
| c | `correction` | subtracted from m in the divisor of the tracked variance: 0 or 1 |
| s | `inv_std` | 1 / sqrt(var + epsilon) |
| | `zhat` | the normalised value |
| u | `u` | the unit roundoff of an arithmetic |

## Levels

- **MUST**: the definition requires it. Results are compared within the bound below; bitwise only where the law is exact.
- **SHOULD**: good implementations do it. Not doing it does not violate the definition, but it hurts users.
- **MAY**: a choice. The suite records it; this document describes it so that it means the same everywhere.

A clause *depends on* fields of a backend's conventions (`bnspec/model/conventions.py`) in which correct implementations
differ; it is judged relative to them.

## How numbers are judged

No tolerance is chosen by hand. Each element of each result is compared with the exact value, computed in quad precision from
the same inputs. Its error is divided by an a-priori bound for that element of that case, derived from the unit roundoffs of
storage, statistics and arithmetic, the number of summed terms and the condition number |mean| / std. A result conforms if
this ratio is at most 1. There are three tiers of bounds (`bnspec/bounds/batch_norm.py` derives them):

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

- **backends**: a check judges every backend by it on generated cases; `bnspec verify --clause ID` runs that check alone.
- **specification**: no check covers backends. A test verifies it on the equations of this specification, in exact rational
  arithmetic wherever it is a law of real numbers.
- **both**: a check judges backends, and a test verifies the equations.
"""


def text(clauses: Sequence[Clause], families: Sequence[Family]) -> str:
    """The whole document.

    Args:
        clauses: in the order of the families.
        families: every family that the clauses belong to.

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
    """The clause's anchor in the document: its id with a hyphen for the dot."""
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
    yield f"{len(clauses)} clauses: {counts}. Checks judge backends by {asked} of them.\n"
    yield "| clause | level | verified on | statement |"
    yield "|---|---|---|---|"
    for c in clauses:
        statement = c.statement.replace("|", r"\|")
        yield f"| [`{c.id}`](#{anchor(c)}) | {c.level} | {c.verified} | {statement} |"


def _address(reference: str) -> str:
    """The URL of a report named ``owner/project#number``; GitHub redirects issues to pull requests."""
    project, _, number = reference.partition("#")
    return f"https://github.com/{project}/issues/{number}"


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False) + "\n"
