#!/bin/sh
# A web site on one address: three servers behind masquerading, the strongest
# with the most weight, and browsers kept on one server for HTTPS.
set -eu

VIP=203.0.113.10

ipvsadm -C
ipvsadm -A -t $VIP:80 -s wlc
for server in 10.1.1.2:3 10.1.1.3:2 10.1.1.4:1; do
    ipvsadm -a -t $VIP:80 -r "${server%:*}:8080" -m -w "${server#*:}"
done

ipvsadm -A -t $VIP:443 -s wrr -p 600
ipvsadm -a -t $VIP:443 -r 10.1.1.2 -m
ipvsadm -a -t $VIP:443 -r 10.1.1.3 -m -x 2000 -y 1500

# Browsers keep connections open for a while, and most never say good-bye.
ipvsadm --set 3600 60 0

ipvsadm -L -n
ipvsadm -L -n --thresholds
ipvsadm -L --timeout
