#!/usr/bin/env bash
# Judge BACKEND by CLAUSE (globs, one a line) at EFFORT; write the summary; end with 1 where a deviation is one that FAIL names.
set -euo pipefail

run="${RUNNER_TEMP:?}/bnspec-run"
chosen=()
while IFS= read -r glob; do
    [ -z "$glob" ] || chosen+=(--backend "$glob")
done <<<"${BACKEND:?}"
while IFS= read -r glob; do
    [ -z "$glob" ] || chosen+=(--clause "$glob")
done <<<"${CLAUSE:-}"
case "${FAIL:?}" in
must | any | never) ;;
*)
    echo "bnspec verify: fail is '$FAIL'." >&2
    echo "  Why:  it is must, any or never." >&2
    echo "  Fix:  correct the step's input." >&2
    exit 2
    ;;
esac

status=0
bnspec verify "${chosen[@]}" --effort "${EFFORT:?}" --out "$run" --json >"$RUNNER_TEMP/bnspec.json" || status=$?
[ "$status" -le 1 ] || exit "$status"
echo "run=$run" >>"${GITHUB_OUTPUT:?}"
bnspec report "$run" --out "$run/page" >/dev/null
python "$(dirname "${BASH_SOURCE[0]}")/summary.py" "$RUNNER_TEMP/bnspec.json" "$FAIL" >>"${GITHUB_STEP_SUMMARY:?}"
