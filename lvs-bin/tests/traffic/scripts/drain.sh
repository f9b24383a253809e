#!/bin/sh
# Takes a real server out for repair: it gets no new connections, those it has
# are waited for, and then it is removed. The services share a firewall mark, so
# that a customer has the same server for HTTP and HTTPS.
set -eu

mark=7
server=10.1.1.3

ipvsadm -C
ipvsadm -A -f $mark -s wlc -p 300 -M 255.255.255.0
ipvsadm -a -f $mark -r 10.1.1.2 -g -w 10
ipvsadm -a -f $mark -r $server -g -w 10

active() {
    ipvsadm -L -n -f $mark | awk -v server="$server:0" '$2 == server { print $5 + $6 }'
}

ipvsadm -e -f $mark -r $server -g -w 0
tries=0
while [ "$(active)" -gt 0 ] && [ $tries -lt 60 ]; do
    tries=$((tries + 1))
    sleep 1
done
ipvsadm -d -f $mark -r $server

# Taking it out twice is a mistake that the caller wants to hear of.
if said=$(ipvsadm -d -f $mark -r $server 2>&1); then
    echo "taken out twice"
else
    echo "status $?: $said"
fi

ipvsadm -L -n -f $mark
ipvsadm -L -n --stats -f $mark | awk 'NR > 3 { connections += $3 } END { print connections + 0, "connections" }'
