"""The atlas: what is known of each release of each package, as small stable text in git; and what changed between releases.

entry     what one release does, backend by backend: a file PACKAGE/RELEASE.json
changes   what changed from one release to the next, each change seen in both environments: PACKAGE/RELEASE.changes.json
atlas     all of them, in the order of releases; refuses what contradicts itself
extract   an entry from a run directory
page      the atlas as Markdown
"""
