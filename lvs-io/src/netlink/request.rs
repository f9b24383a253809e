//! One netlink conversation: a request, and everything the kernel answers to it.

use std::fmt::Display;
use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage,
    NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::error::Error;

/// A request socket in the network namespace that the opening thread was in.
///
/// Never blocks: the kernel handles a routing request inside the call that
/// sends it, and queues the next piece of a dump inside the call that reads
/// the one before. An answer that is not there is therefore lost, and an error.
pub(super) struct Conversation {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
    undecoded: u64,
}

/// How a dump ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dump {
    /// What was delivered is the whole of it.
    Whole,
    /// Something changed meanwhile: entries may be missing or doubled.
    Interrupted,
}

impl Conversation {
    /// Opens a socket in the calling thread's network namespace.
    pub(super) fn open() -> Result<Self, Error> {
        let socket = open_socket(NETLINK_ROUTE)
            .map_err(|cause| Error::new("open", &"a netlink socket", cause))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: receive_buffer(),
            undecoded: 0,
        })
    }

    /// How many messages could not be decoded so far.
    pub(super) fn undecoded(&self) -> u64 {
        self.undecoded
    }

    /// Asks for one change and returns when the kernel has made it.
    pub(super) fn change(
        &mut self,
        operation: &'static str,
        object: &dyn Display,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), Error> {
        self.exchange(operation, object, message, flags | NLM_F_ACK, &mut |_| ())
            .map(drop)
    }

    /// Asks for one thing, which the kernel must answer with one message.
    pub(super) fn ask(
        &mut self,
        operation: &'static str,
        object: &dyn Display,
        message: RouteNetlinkMessage,
    ) -> Result<RouteNetlinkMessage, Error> {
        let mut answer = None;
        self.exchange(operation, object, message, NLM_F_ACK, &mut |message| {
            answer = Some(message)
        })?;
        answer.ok_or_else(|| Error::new(operation, object, io::ErrorKind::UnexpectedEof.into()))
    }

    /// Asks for all things of a kind and hands each to `take`.
    pub(super) fn dump(
        &mut self,
        object: &dyn Display,
        message: RouteNetlinkMessage,
        take: &mut dyn FnMut(RouteNetlinkMessage),
    ) -> Result<Dump, Error> {
        self.exchange("list", object, message, NLM_F_DUMP, take)
    }

    fn exchange(
        &mut self,
        operation: &'static str,
        object: &dyn Display,
        message: RouteNetlinkMessage,
        flags: u16,
        take: &mut dyn FnMut(RouteNetlinkMessage),
    ) -> Result<Dump, Error> {
        let fail = |cause| Error::new(operation, object, cause);
        self.send(message, flags | NLM_F_REQUEST).map_err(fail)?;
        let mut dump = Dump::Whole;
        loop {
            receive(&self.socket, &mut self.buffer).map_err(fail)?;
            for bytes in Messages::new(&self.buffer) {
                let Some(message) = decode(bytes, &mut self.undecoded) else {
                    continue;
                };
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                if message.header.flags & NLM_F_DUMP_INTR != 0 {
                    dump = Dump::Interrupted;
                }
                let (code, attributes) = match &message.payload {
                    NetlinkPayload::Done(done) => (done.code, &done.extended_ack[..]),
                    NetlinkPayload::Error(error) => (error.raw_code(), after_header(&error.header)),
                    _ => {
                        deliver(message.payload, take);
                        continue;
                    }
                };
                return match code {
                    0.. => Ok(dump),
                    code => Err(fail(io::Error::from_raw_os_error(-code))
                        .explained(explanation(attributes))),
                };
            }
        }
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket
            .send_to(&bytes, &SocketAddr::new(0, 0), 0)
            .map(drop)
    }
}

/// The messages that share one datagram, each with its header.
pub(super) struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    pub(super) fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = NetlinkBuffer::new_checked(self.0).ok()?.length() as usize;
        let (message, _) = self.0.split_at_checked(length)?;
        let padded = length.next_multiple_of(ALIGNMENT).max(ALIGNMENT);
        self.0 = self.0.get(padded..).unwrap_or_default();
        Some(message)
    }
}

/// Opens a socket of a netlink protocol that does not block and gives full
/// reasons.
pub(super) fn open_socket(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.set_non_blocking(true)?;
    socket.set_ext_ack(true)?;
    // Without the request's body in the acknowledgement, the reasons are found
    // right behind its header.
    socket.set_cap_ack(true)?;
    Ok(socket)
}

/// A buffer that holds the longest datagram [`receive`] takes.
pub(super) fn receive_buffer() -> Vec<u8> {
    Vec::with_capacity(LONGEST_DATAGRAM)
}

/// Receives one datagram in place of what `buffer` held.
pub(super) fn receive(socket: &Socket, buffer: &mut Vec<u8>) -> io::Result<()> {
    loop {
        buffer.clear();
        match socket.recv(buffer, libc::MSG_TRUNC) {
            Ok(length) if length > buffer.len() => {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Decodes one message. What cannot be decoded is counted and left out: one
/// exotic attribute of one link must not hide all others.
pub(super) fn decode(
    bytes: &[u8],
    undecoded: &mut u64,
) -> Option<NetlinkMessage<RouteNetlinkMessage>> {
    let message = NetlinkMessage::deserialize(bytes).ok();
    *undecoded += u64::from(message.is_none());
    message
}

fn deliver(
    payload: NetlinkPayload<RouteNetlinkMessage>,
    take: &mut dyn FnMut(RouteNetlinkMessage),
) {
    if let NetlinkPayload::InnerMessage(message) = payload {
        take(message);
    }
}

/// What follows the copy of the request's header in an acknowledgement.
fn after_header(acknowledgement: &[u8]) -> &[u8] {
    acknowledgement.get(HEADER..).unwrap_or_default()
}

/// The kernel's words in the attributes of an extended acknowledgement.
fn explanation(attributes: &[u8]) -> Option<String> {
    NlasIterator::new(attributes)
        .flatten()
        .find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG)
        .map(|attribute| {
            let text = String::from_utf8_lossy(attribute.value());
            text.trim_end_matches('\0').to_owned()
        })
}

/// Dumps come in datagrams of at most 32 KiB, but one message may be longer: a
/// link with its virtual functions, a route with a thousand next hops.
const LONGEST_DATAGRAM: usize = 1 << 17;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

/// Messages start at multiples of this many bytes (`NLMSG_ALIGNTO`).
const ALIGNMENT: usize = 4;

/// The attribute with the kernel's words (linux/netlink.h).
const NLMSGERR_ATTR_MSG: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of nothing but its header.
    fn header(length: u32, kind: u16) -> Vec<u8> {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes
    }

    #[test]
    fn splits_a_datagram_at_padded_ends() {
        let mut datagram = header(18, 3);
        datagram.extend([1, 2, 0, 0]);
        datagram.extend(header(16, 2));
        let lengths: Vec<_> = Messages::new(&datagram).map(<[u8]>::len).collect();
        assert_eq!(lengths, [18, 16]);
    }

    #[test]
    fn stops_at_a_length_that_lies() {
        for length in [0, 15, 17, u32::MAX] {
            let datagram = header(length, 3);
            assert_eq!(Messages::new(&datagram).count(), 0, "length {length}");
        }
    }

    #[test]
    fn counts_what_it_cannot_decode() {
        let mut undecoded = 0;
        assert!(decode(&header(16, 16), &mut undecoded).is_none());
        assert_eq!(undecoded, 1);
    }

    #[test]
    fn finds_the_kernel_s_words_behind_other_attributes() {
        let mut attributes = vec![8, 0, 2, 0, 1, 0, 0, 0];
        attributes.extend([8, 0, 1, 0, b'b', b'a', b'd', 0]);
        assert_eq!(explanation(&attributes).as_deref(), Some("bad"));
        assert_eq!(explanation(&[]), None);
        assert_eq!(explanation(&[8, 0, 1, 0, b'b']), None);
    }

    #[test]
    fn a_refusal_carries_operation_object_and_reason() {
        use netlink_packet_route::link::{LinkAttribute, LinkMessage};
        let mut message = LinkMessage::default();
        message
            .attributes
            .push(LinkAttribute::IfName("no-such-link".into()));
        let error = Conversation::open()
            .and_then(|mut kernel| {
                kernel.ask(
                    "find",
                    &"no-such-link",
                    RouteNetlinkMessage::GetLink(message),
                )
            })
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        assert_eq!(
            (error.operation(), error.object()),
            ("find", "no-such-link")
        );
    }
}
