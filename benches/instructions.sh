#!/usr/bin/env bash
# Counts the instructions the core takes for one packet, by class, and compares
# them with those written down in instructions.txt. Unlike a time, a count is
# the same on a busy machine, so a change of one in a hundred shows.
#
#   benches/instructions.sh            compares; fails where a class takes more
#   benches/instructions.sh --record   writes instructions.txt anew
#
# Needs valgrind. A count holds for one compiler: record it anew with another.
set -euo pipefail
cd "$(dirname "$0")/.."

# What a class may take more than written down, per cent.
readonly TOLERANCE=2
readonly RECORDED=benches/instructions.txt
readonly REPEAT=${CARGO_TARGET_DIR:-target}/release/repeat

classes() {
    local way family
    for way in direct_route tunnel masquerade_request masquerade_reply; do
        for family in 4 6; do
            echo "hit $way tcp $family 1024"
        done
    done
    echo "hit masquerade_request udp 4 1024"
    echo "new direct_route tcp 4 65536"
    echo "new masquerade_request tcp 4 65536"
    local scheduler
    for scheduler in rr wrr lc wlc lblc lblcr sh mh sed nq fo ovf twos; do
        echo "setup $scheduler 1000 1"
    done
}

# Instructions of a whole run.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$REPEAT" "$@" 2>&1 |
        awk '/Collected/ { print $4 }'
}

# What twice as many packets take more than so many: nothing else is in it.
per_packet() {
    local packets=16384 once twice
    once=$(count "$@" $packets)
    twice=$(count "$@" $((2 * packets)))
    echo $(((twice - once + packets / 2) / packets))
}

cargo build --quiet --release -p lvs-benches --bin repeat
if [[ ${1:-} == --record ]]; then
    classes | while read -r class; do
        # A class is several words.
        # shellcheck disable=SC2086
        echo "$(per_packet $class) $class"
    done | tee "$RECORDED"
    exit
fi

failed=0
while read -r recorded class; do
    # shellcheck disable=SC2086
    now=$(per_packet $class)
    verdict=
    if ((now * 100 > recorded * (100 + TOLERANCE))); then
        verdict="  more than $TOLERANCE % more"
        failed=1
    fi
    printf '%6d  was %6d  %s%s\n' "$now" "$recorded" "$class" "$verdict"
done <"$RECORDED"
exit $failed
