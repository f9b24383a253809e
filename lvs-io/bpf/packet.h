/* SPDX-License-Identifier: Apache-2.0 OR MIT
 *
 * How steer.bpf.c reads a packet out of a frame. It takes the kernel's functions
 * and struct key from there, and is part of that file in all but place.
 */
#ifndef PACKET_H
#define PACKET_H

/* ---- Reading a packet ----
 *
 * Headers are copied. The outermost lie at fixed offsets and are read in
 * place, if the frame is not in pieces just there; that is 20 ns faster than
 * asking the kernel twice. All others the kernel copies, at offsets which to
 * the verifier are any numbers: with pointers to them each combination of
 * headers is a case of its own, 250 000 instructions to look at instead of
 * 5 000, and on Linux 7.3 more than it puts up with. */

/* A frame, of XDP or of tc; which is known when this is compiled. */
struct frame {
	void *context;
	int is_xdp;
	int outermost; /* whether its outermost headers are being read */
	void *data;
	void *end;
};

/* One packet, reduced to what rules ask: the keys of its two ends. */
struct packet {
	struct key to;
	struct key from;
	__u8 ipv6;
	__u8 protocol;
	__u8 fragment; /* is judged by its addresses, not by ports */
	__u32 behind; /* where its headers end */
	struct ports ports; /* if it was read with them */
};

/* Copies what is at `at`; returns 0 if the frame does not have as much. */
INLINE int copy(struct frame *frame, __u32 at, void *to, __u32 bytes)
{
	return !(frame->is_xdp ? copy_of_xdp(frame->context, at, to, bytes) :
				 copy_of_skb(frame->context, at, to, bytes));
}

/* The same for a header at `to`, in place where that can be. */
#define READ(frame, at, to)                                                  \
	({                                                                   \
		typeof(to) here = (frame)->data + (at);                      \
		(frame)->outermost && (void *)(here + 1) <= (frame)->end ?   \
			(*(to) = *here, 1) :                                 \
			copy(frame, at, to, sizeof(*(to)));                  \
	})

/* What tells a fragment. Later ones carry no ports, so all of a datagram are
 * judged by their addresses: a first one must come where the others come. A
 * quoted packet is alone, and a first fragment tells its ports. */
enum {
	LATER_FRAGMENT = BIG_ENDIAN_16(0x1fff), /* an offset */
	ANY_FRAGMENT = BIG_ENDIAN_16(0x3fff), /* or "more fragments" */
	LATER_FRAGMENT_6 = BIG_ENDIAN_16(0xfff8), /* the same of IPv6 */
	ANY_FRAGMENT_6 = BIG_ENDIAN_16(0xfff9),
};

/* Reads an IPv4 header; returns 0 when it is malformed. The last fragment of a
 * datagram may have less data than ports take. */
INLINE int read_ipv4(struct frame *frame, __u32 at, struct packet *packet)
{
	struct ipv4 ip = {};
	__u32 length;
	int has_ports = READ(frame, at, &ip);

	if (!has_ports && !copy(frame, at, &ip, sizeof(ip) - sizeof(ip.ports)))
		return 0;
	length = (ip.version_and_length & 15) * 4;
	if (ip.version_and_length >> 4 != 4 || length < 20)
		return 0;
	packet->to.address[0] = ip.destination;
	packet->from.address[0] = ip.source;
	packet->protocol = ip.protocol;
	packet->fragment = !!(ip.fragment & (frame->outermost ? ANY_FRAGMENT : LATER_FRAGMENT));
	packet->behind = at + length;
	packet->ports = ip.ports;
	if (packet->fragment)
		return 1;
	return length == 20 ? has_ports : copy(frame, packet->behind, &packet->ports, 4);
}

INLINE int is_extension(__u8 next)
{
	return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING ||
	       next == NEXT_FRAGMENT || next == NEXT_DESTINATION;
}

/* Walks the extension headers behind an IPv6 header. */
INLINE int read_extensions(struct frame *frame, struct packet *packet)
{
	struct extension extension;

#pragma clang loop unroll(disable)
	for (int i = 0; i < MOST_EXTENSIONS; i++) {
		__u8 next = packet->protocol;

		if (!is_extension(next))
			break;
		if (!copy(frame, packet->behind, &extension, sizeof(extension)))
			return 0;
		packet->protocol = extension.next;
		if (next != NEXT_FRAGMENT) {
			packet->behind += ((__u32)extension.length + 1) * 8;
			continue;
		}
		packet->behind += 8;
		if (extension.fragment & (frame->outermost ? ANY_FRAGMENT_6 : LATER_FRAGMENT_6)) {
			packet->fragment = 1;
			return 1;
		}
	}
	return copy(frame, packet->behind, &packet->ports, sizeof(packet->ports));
}

/* Reads an IPv6 header and its extension headers; returns 0 when malformed. */
INLINE int read_ipv6(struct frame *frame, __u32 at, struct packet *packet)
{
	struct ipv6 ip;

	if (!READ(frame, at, &ip) || ip.version_and_class >> 4 != 6)
		return 0;
	for (int i = 0; i < 4; i++) {
		packet->to.address[i] = ip.destination[i];
		packet->from.address[i] = ip.source[i];
	}
	packet->to.kind = END_DESTINATION | KIND_IPV6;
	packet->from.kind = END_SOURCE | KIND_IPV6;
	packet->protocol = ip.next;
	packet->behind = at + 40;
	packet->ports = ip.ports;
	return !is_extension(ip.next) || read_extensions(frame, packet);
}

/* AH and ESP go by the key exchange they belong to, UDP from 500 to 500: user
 * space forwards them by its connection. */
INLINE void read_ipsec(struct packet *packet)
{
	if (packet->protocol != PROTOCOL_AH && packet->protocol != PROTOCOL_ESP)
		return;
	packet->protocol = PROTOCOL_UDP;
	packet->fragment = 0;
	packet->ports.source = packet->ports.destination = BIG_ENDIAN_16(500);
}

INLINE int read_packet(struct frame *frame, int ipv6, __u32 at, struct packet *packet)
{
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->ipv6 = ipv6;
	packet->from.kind = END_SOURCE;
	if (!(ipv6 ? read_ipv6(frame, at, packet) : read_ipv4(frame, at, packet)))
		return 0;
	read_ipsec(packet);
	packet->to.port = packet->ports.destination;
	packet->from.port = packet->ports.source;
	packet->to.protocol = packet->from.protocol = packet->protocol;
	return 1;
}

#endif
