#!/usr/bin/env bash
# What other release profiles would give: builds the function with each and measures it. Takes about half an hour.
#
#   benches/profiles.sh             all of them
#   benches/profiles.sh NAME…       shipped fast small thin abort
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
# What Cargo.toml builds for size.
mapfile -t small < <(sed -n 's/^\([a-z0-9-]*\)\.opt-level = "z"$/\1/p' Cargo.toml)

options() {
  case $1 in
    shipped) ;;
    fast) printf -- '--config\nprofile.release.package.%s.opt-level=3\n' "${small[@]}" ;;
    small) printf -- '--config\nprofile.release.opt-level="z"\n' ;;
    thin) printf -- '--config\nprofile.release.lto="thin"\n' ;;
    abort) printf -- '--config\nprofile.release.panic="abort"\n' ;;
    *) echo "no profile $1" >&2; exit 2 ;;
  esac
}

cargo build --locked --release --examples
[ $# -gt 0 ] || set -- shipped fast small thin abort
for name in "$@"; do
  mapfile -t with < <(options "$name")
  cargo build --locked --release --quiet --target-dir "$target/profiles" --bin root-usage-alert "${with[@]}"
  echo "## $name"
  BENCH_BINARY="$PWD/$target/profiles/release/root-usage-alert" BENCH_SHORT=1 \
    cargo bench --locked --quiet --bench process | grep -E '^\| (4,000|1 record|start|packaged)'
done
