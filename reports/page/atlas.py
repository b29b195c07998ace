"""The page of the atlas: what changed with the newest release of each package, all changes of behaviour, and strips of releases."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from bnspec.printable import clean
from bnspec.reports.atlas.atlas import Atlas, Package
from bnspec.reports.atlas.behaviours import Behaviour, aside, behaviours
from bnspec.reports.atlas.repros import Repro
from bnspec.reports.atlas.strips import Strip, banners, strips
from bnspec.reports.page.page import GENERATOR, asset, environment


@dataclass(frozen=True)
class _Section:
    """What the page shows of a package; ``now``: what its newest release changed."""

    name: str
    releases: list[str]
    behaviours: list[Behaviour]
    aside: list[tuple[str, str]]
    repros: tuple[Repro, ...]
    strips: list[Strip]

    @property
    def newest(self) -> str:
        """The newest release."""
        return self.releases[-1]

    @property
    def against(self) -> str:
        """The one before it in the atlas."""
        return self.releases[-2] if len(self.releases) > 1 else ""

    @property
    def now(self) -> list[Behaviour]:
        """What the newest release changed."""
        return [b for b in self.behaviours if b.after == self.newest]

    @property
    def nothing(self) -> str:
        """What is said where no behaviour changed with the newest release."""
        if not self.against:
            return "it is the only one"
        return "bits or types of errors alone" if (self.against, self.newest) in self.aside else "nothing"


def atlas_page(atlas: Atlas) -> str:
    """The page as HTML."""
    return clean(
        environment()
        .get_template("atlas.html")
        .render(
            css=Markup(asset("page.css")),
            generator=Markup(GENERATOR),
            atlas=atlas,
            banners=banners(atlas),
            sections=[_section(p) for p in atlas.packages if p.entries],
        )
    )


def _section(package: Package) -> _Section:
    releases = [e.release for e in package.entries]
    return _Section(package.name, releases, behaviours(package), aside(package), package.repros, strips(package))
