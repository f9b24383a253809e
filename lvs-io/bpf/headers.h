/* SPDX-License-Identifier: Apache-2.0 OR MIT
 *
 * What is in a frame, as far as steer.bpf.c reads it. All numbers are as on the
 * wire, big-endian.
 */
#ifndef HEADERS_H
#define HEADERS_H

#include <linux/types.h>

#define BIG_ENDIAN_16(value) __builtin_bswap16(value)

/* A MAC. */
struct mac {
	__u16 part[3];
};

enum {
	MAC_OF_GROUP = BIG_ENDIAN_16(0x0100), /* in its first part */
};

/* What follows the two MACs. */
struct start {
	__u16 type;
	__u16 tag; /* of a tagged frame */
	__u16 tagged_type;
};

struct ports {
	__u16 source;
	__u16 destination;
};

/* A header and what is behind it when nothing comes between. */
struct ipv4 {
	__u8 version_and_length;
	__u8 service;
	__u16 total;
	__u16 identification;
	__u16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__u32 source;
	__u32 destination;
	struct ports ports;
};

struct ipv6 {
	__u8 version_and_class;
	__u8 class_and_flow[3];
	__u16 payload;
	__u8 next;
	__u8 hop_limit;
	__u32 source[4];
	__u32 destination[4];
	struct ports ports;
};

struct extension {
	__u8 next;
	__u8 length; /* beyond the first 8 bytes, in units of 8 */
	__u16 fragment; /* of a fragment header only */
};

enum {
	TYPE_IPV4 = BIG_ENDIAN_16(0x0800),
	TYPE_VLAN = BIG_ENDIAN_16(0x8100),
	TYPE_IPV6 = BIG_ENDIAN_16(0x86dd),

	PROTOCOL_ICMP = 1,
	PROTOCOL_IPV4 = 4,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_IPV6 = 41,
	PROTOCOL_GRE = 47,
	PROTOCOL_ESP = 50,
	PROTOCOL_AH = 51,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_SCTP = 132,

	NEXT_HOP_BY_HOP = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_DESTINATION = 60,

	/* RFC 8200, 4.1 lets each extension header occur once, destination
	 * options twice: five that are walked, and one to spare. */
	MOST_EXTENSIONS = 6,
};

#endif
