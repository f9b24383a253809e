#!/bin/sh
# Starts and stops a director as init scripts do: rules are kept in a file over
# a stop, and come back by the next start. DNS is reached directly, mail through
# tunnels to another site.
set -eu

rules=$(mktemp)
trap 'rm -f "$rules"' EXIT

lay() {
    ipvsadm --clear
    ipvsadm --add-service --udp-service 203.0.113.53:53 --scheduler rr --ops
    ipvsadm --add-server --udp-service 203.0.113.53:53 --real-server 10.1.1.5 --gatewaying
    ipvsadm --add-server --udp-service 203.0.113.53:53 --real-server 10.1.1.6 --gatewaying --weight 2
    ipvsadm --add-service --tcp-service 203.0.113.25:25 --scheduler sh --sched-flags sh-fallback,sh-port
    ipvsadm --add-server --tcp-service 203.0.113.25:25 --real-server 10.9.0.7 --ipip
    ipvsadm --add-server --tcp-service 203.0.113.25:25 --real-server 10.9.0.8 --ipip \
        --tun-type gue --tun-port 6080
    ipvsadm --add-service --tcp-service '[2001:db8::25]:25' --scheduler lc --persistent 300 --netmask 64
    ipvsadm --add-server --tcp-service '[2001:db8::25]:25' --real-server '[2001:db8:9::7]:25' --gatewaying
}

running() {
    [ "$(ipvsadm --save --numeric | wc -l)" -gt 0 ]
}

for act in start status stop status start status; do
    case $act in
    start)
        if [ -s "$rules" ]; then
            ipvsadm --restore <"$rules"
        else
            lay
        fi
        ;;
    stop)
        ipvsadm --save --numeric >"$rules"
        ipvsadm --clear
        ;;
    status)
        if running; then echo "directing:"; else echo "not directing"; fi
        ipvsadm --save --numeric
        ;;
    esac
done
