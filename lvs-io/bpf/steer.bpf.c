/* SPDX-License-Identifier: Apache-2.0 OR MIT
 *
 * Which frames belong to the director, decided in the kernel.
 *
 * `steer` (XDP) sends a frame to the AF_XDP socket of its receive queue when a
 * rule claims it, and passes every other frame to the kernel untouched.
 * `steer_tc` (tc ingress) drops exactly the frames `steer` would have sent: it
 * stands behind an AF_PACKET tap, which already holds a copy of each.
 *
 * README.md beside this file draws the decision and explains the maps;
 * build.sh makes steer.bpf.o, which is committed and loaded by
 * ../src/program. Keys and bits are read there too: change both together.
 */
#include <linux/bpf.h>

#include "headers.h"

#define INLINE static inline __attribute__((always_inline))
#define SECTION(name) __attribute__((section(name), used))

char terms[] SECTION("license") = "Dual MIT/GPL";

/* The kernel's functions, called by number. */
static void *(*const map_lookup)(void *map, const void *key) =
	(void *)BPF_FUNC_map_lookup_elem;
static long (*const redirect_map)(void *map, __u64 key, __u64 flags) =
	(void *)BPF_FUNC_redirect_map;
static long (*const copy_of_xdp)(void *frame, __u32 at, void *to, __u32 bytes) =
	(void *)BPF_FUNC_xdp_load_bytes;
static long (*const copy_of_skb)(void *frame, __u32 at, void *to, __u32 bytes) =
	(void *)BPF_FUNC_skb_load_bytes;

/* ---- Maps ---- */

struct map {
	__u32 type;
	__u32 key_bytes;
	__u32 value_bytes;
	__u32 entries;
	__u32 flags;
};

/* What a rule is about. `port` is 0 and `protocol` is 0 in address records. */
struct key {
	__u32 address[4]; /* an IPv4 address is the first word, the rest 0 */
	__u16 port; /* as on the wire */
	__u8 protocol;
	__u8 kind; /* one of END_*, plus KIND_IPV6 */
};

enum {
	END_DESTINATION = 0, /* traffic to this address and port is ours */
	END_SOURCE = 1, /* traffic from this address and port is ours */
	ADDRESS_RECORD = 2, /* the value says what is ours of this address */
	KIND_IPV6 = 4,
};

/* An address record has four rows of bits, one bit a protocol, as by `bit_of`. */
enum {
	ROW_RULES = 0, /* some port of it is served */
	ROW_ANY_PORT = 8, /* every port of it is served */
	ROW_SOURCE = 16, /* the same two rows again, for END_SOURCE */
};

/* The bits of `present`: which kinds of rules there are at all, so that the
 * host's own traffic is not looked up in vain. */
enum {
	PRESENT_SOURCE = 1,
	PRESENT_ANY_PORT = 2,
};

/* Why a frame went where it went; the index into `reasons`. */
enum reason {
	STEERED_SERVICE,
	STEERED_REAL_SERVER,
	STEERED_FRAGMENT,
	STEERED_ICMP_ERROR,
	PASSED_NO_SOCKET,
	PASSED_NOT_IP,
	PASSED_MALFORMED,
	PASSED_OTHER_PROTOCOL,
	PASSED_NO_RULE,
	PASSED_OTHER_MAC,
	REASONS,
	UNDECIDED,
	LAST_STEERED = STEERED_ICMP_ERROR,
};

struct map rules SECTION("maps") = {
	.type = BPF_MAP_TYPE_HASH,
	.key_bytes = sizeof(struct key),
	.value_bytes = sizeof(__u32),
	/* Enough for 100,000 real servers behind masquerading; memory is taken as
	 * it fills. */
	.entries = 524288,
	.flags = BPF_F_NO_PREALLOC,
};

struct map present SECTION("maps") = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_bytes = sizeof(__u32),
	.value_bytes = sizeof(__u32),
	.entries = 1,
};

struct map reasons SECTION("maps") = {
	.type = BPF_MAP_TYPE_PERCPU_ARRAY,
	.key_bytes = sizeof(__u32),
	.value_bytes = sizeof(__u64),
	.entries = REASONS,
};

struct map xsks SECTION("maps") = {
	.type = BPF_MAP_TYPE_XSKMAP,
	.key_bytes = sizeof(__u32),
	.value_bytes = sizeof(__u32),
	.entries = 256,
};

/* The MAC of the one NIC that this program is on. */
struct map own SECTION("maps") = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_bytes = sizeof(__u32),
	.value_bytes = sizeof(struct mac),
	.entries = 1,
};

#include "packet.h"

/* ---- Asking the rules ---- */

INLINE __u32 bit_of(struct packet *packet)
{
	switch (packet->protocol) {
	case PROTOCOL_TCP:
		return 1;
	case PROTOCOL_UDP:
		return 2;
	case PROTOCOL_SCTP:
		return 4;
	default:
		return 0;
	}
}

/* Turns `key` into that of its address's record and reads it. */
INLINE __u32 address_record(struct key *key)
{
	__u32 *record;

	key->port = 0;
	key->protocol = 0;
	key->kind = ADDRESS_RECORD | (key->kind & KIND_IPV6);
	record = map_lookup(&rules, key);
	return record ? *record : 0;
}

/* Asks by address and port: the service first, for that is the common frame
 * and one lookup settles it. Then the real servers behind masquerading. */
INLINE int ask_ports(struct packet *packet)
{
	__u32 zero = 0, *kinds;

	if (map_lookup(&rules, &packet->to))
		return STEERED_SERVICE;
	kinds = map_lookup(&present, &zero);
	if (!kinds)
		return PASSED_NO_RULE;
	if (*kinds & PRESENT_SOURCE && map_lookup(&rules, &packet->from))
		return STEERED_REAL_SERVER;
	return *kinds & PRESENT_ANY_PORT ? UNDECIDED : PASSED_NO_RULE;
}

/* Asks for a packet whose ports, if it has any, are read. */
INLINE int ask(struct packet *packet)
{
	__u32 bit = bit_of(packet), row = ROW_RULES;
	int reason;

	if (!bit)
		return PASSED_OTHER_PROTOCOL;
	if (!packet->fragment) {
		reason = ask_ports(packet);
		if (reason != UNDECIDED)
			return reason;
		row = ROW_ANY_PORT;
	}
	if (address_record(&packet->to) >> row & bit)
		return row == ROW_RULES ? STEERED_FRAGMENT : STEERED_SERVICE;
	if (address_record(&packet->from) >> (row + ROW_SOURCE) & bit)
		return row == ROW_RULES ? STEERED_FRAGMENT : STEERED_REAL_SERVER;
	return PASSED_NO_RULE;
}

/* ---- The decision ---- */

INLINE int is_icmp(struct packet *packet)
{
	return packet->protocol == (packet->ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP) &&
	       !packet->fragment;
}

INLINE int is_error(struct packet *icmp)
{
	/* Where others have a port, ICMP has type and code. */
	__u8 type = *(__u8 *)&icmp->ports;

	if (icmp->ipv6) /* unreachable, too big, time exceeded, parameter problem */
		return type >= 1 && type <= 4;
	/* unreachable, source quench, time exceeded, parameter problem */
	return type == 3 || type == 4 || type == 11 || type == 12;
}

INLINE int is_tunnel(struct packet *packet)
{
	return (packet->protocol == PROTOCOL_IPV4 ||
		packet->protocol == PROTOCOL_IPV6 ||
		packet->protocol == PROTOCOL_GRE) &&
	       !packet->fragment;
}

/* Reads the packet in a tunnel. */
INLINE int read_inner(struct frame *frame, struct packet *packet)
{
	int ipv6 = packet->protocol == PROTOCOL_IPV6;
	__u32 at = packet->behind;

	if (packet->protocol == PROTOCOL_GRE) {
		/* Where others have ports, GRE has flags and EtherType. */
		ipv6 = packet->ports.destination == TYPE_IPV6;
		at += packet->ports.source & BIG_ENDIAN_16(0x8000) ? 8 : 4;
	}
	return read_packet(frame, ipv6, at, packet);
}

/* The packet the other way round. */
INLINE void turn(struct packet *packet)
{
	struct key to = packet->to;

	packet->to = packet->from;
	packet->from = to;
	packet->to.kind &= ~END_SOURCE;
	packet->from.kind |= END_SOURCE;
}

/* An ICMP message is ours if it is an error about a packet of ours: one that
 * left for a client from a service's address, or for a real server; turned
 * round, the rules know it, and so they do one in our own GUE tunnel. Or one in
 * another tunnel of ours to a real server: what was in the tunnel is a packet
 * the rules know as it is. */
INLINE int ask_error(struct frame *frame, struct packet *packet)
{
	int reason;

	frame->outermost = 0;
	if (!is_error(packet))
		return PASSED_OTHER_PROTOCOL;
	if (!read_packet(frame, packet->ipv6, packet->behind + 8, packet))
		return PASSED_MALFORMED;
	if (!is_tunnel(packet))
		turn(packet);
	else if (!read_inner(frame, packet))
		return PASSED_MALFORMED;
	reason = ask(packet);
	return reason <= LAST_STEERED ? STEERED_ICMP_ERROR : reason;
}

/* Whether a frame is for another MAC than the NIC's, and not for a group's: an
 * interface above the NIC takes it (macvlan, bridge), or the kernel drops it. */
INLINE int is_for_another(struct frame *frame)
{
	struct mac to, *nic;
	__u32 zero = 0;

	nic = map_lookup(&own, &zero);
	if (!nic || !READ(frame, 0, &to) || to.part[0] & MAC_OF_GROUP)
		return 0;
	return to.part[0] != nic->part[0] || to.part[1] != nic->part[1] ||
	       to.part[2] != nic->part[2];
}

/* `tags` is how many 802.1Q tags the frame may carry. */
INLINE int classify(struct frame *frame, int tags)
{
	struct packet packet;
	struct start start;
	__u32 at = 14;
	__u16 type;

	if (!READ(frame, 12, &start))
		return PASSED_MALFORMED;
	type = start.type;
	if (type == TYPE_VLAN && tags) {
		type = start.tagged_type;
		at = 18;
	}
	if (type != TYPE_IPV4 && type != TYPE_IPV6)
		return PASSED_NOT_IP;
	if (is_for_another(frame))
		return PASSED_OTHER_MAC;
	if (!read_packet(frame, type == TYPE_IPV6, at, &packet))
		return PASSED_MALFORMED;
	return is_icmp(&packet) ? ask_error(frame, &packet) : ask(&packet);
}

INLINE void count(__u32 reason)
{
	__u64 *counter = map_lookup(&reasons, &reason);

	if (counter)
		++*counter;
}

/* ---- Programs ---- */

SECTION("xdp.frags") int steer(struct xdp_md *context)
{
	struct frame frame = {
		.context = context,
		.is_xdp = 1,
		.outermost = 1,
		.data = (void *)(long)context->data,
		.end = (void *)(long)context->data_end,
	};
	int reason = classify(&frame, 1);
	int action = XDP_PASS;

	if (reason <= LAST_STEERED) {
		action = redirect_map(&xsks, context->rx_queue_index, XDP_PASS);
		if (action != XDP_REDIRECT)
			reason = PASSED_NO_SOCKET;
	}
	count(reason);
	return action;
}

enum {
	TCX_NEXT = -1, /* what the programs after this one, or the stack, say */
	TCX_DROP = 2,
};

SECTION("tc") int steer_tc(struct __sk_buff *context)
{
	struct frame frame = {
		.context = context,
		.is_xdp = 0,
		.outermost = 1,
		.data = (void *)(long)context->data,
		.end = (void *)(long)context->data_end,
	};
	int reason = PASSED_NOT_IP;

	/* A tag, when there was one, is beside the frame already. */
	if (!context->vlan_present || context->vlan_proto == TYPE_VLAN)
		reason = classify(&frame, !context->vlan_present);
	count(reason);
	return reason <= LAST_STEERED ? TCX_DROP : TCX_NEXT;
}
