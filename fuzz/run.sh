#!/usr/bin/env bash
# Runs every fuzz target for so many seconds (60 when not said), or only those
# named: fuzz/run.sh [SECONDS [TARGET ...]]
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(parse rewrite icmp_error fragments shard_ops config_file)

cargo build --release --locked
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p artifacts
for target in "${targets[@]}"; do
    printf '\n== %s\n' "$target"
    # What is learnt goes into the first directory, what is kept is read from
    # the second. A finding is written to artifacts/ and ends the run.
    mkdir "$scratch/$target"
    cargo run -q --release --locked --bin "$target" -- \
        -max_total_time="$seconds" -max_len=1000 -print_final_stats=1 -print_funcs=0 -verbosity=0 \
        -artifact_prefix="artifacts/$target-" "$scratch/$target" "corpus/$target"
done
