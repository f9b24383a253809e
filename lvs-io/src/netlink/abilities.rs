//! What a driver can do with XDP: [`XdpAbilities`].

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NlasIterator};
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_GENERIC;

use super::request::{Messages, open_socket, receive, receive_buffer};

/// What a driver can do with XDP, as it told the kernel.
///
/// # Source
///
/// Documentation/netlink/specs/netdev.yaml, `dev-get` (Linux 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpAbilities {
    /// It runs programs itself, and lets them redirect (native XDP).
    pub native: bool,
    /// It receives into packet memory and sends out of it without copying.
    pub zero_copy: bool,
    /// Programs may see frames that are longer than a page.
    pub multi_buffer: bool,
}

impl XdpAbilities {
    /// Those of the link with this index; none if the kernel does not say.
    ///
    /// *Errors:* the kernel could not be asked.
    pub fn of(link: u32) -> io::Result<Option<Self>> {
        let name = attribute(CTRL_ATTR_FAMILY_NAME, b"netdev\0");
        let family = ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &name, CTRL_ATTR_FAMILY_ID)?;
        let Some(family) = family.as_deref().and_then(|id| id.try_into().ok()) else {
            return Ok(None);
        };
        let index = attribute(NETDEV_A_DEV_IFINDEX, &link.to_ne_bytes());
        let family = u16::from_ne_bytes(family);
        let features = ask(
            family,
            NETDEV_CMD_DEV_GET,
            &index,
            NETDEV_A_DEV_XDP_FEATURES,
        )?;
        let features = features.as_deref().and_then(|bits| bits.try_into().ok());
        Ok(features.map(|bits| Self::of_bits(u64::from_ne_bytes(bits))))
    }

    fn of_bits(bits: u64) -> Self {
        let has = |wanted| bits & wanted == wanted;
        Self {
            native: has(BASIC | REDIRECT),
            zero_copy: has(BASIC | REDIRECT | ZERO_COPY),
            multi_buffer: has(RECEIVE_SCATTERED),
        }
    }
}

/// Puts one question to a generic netlink family and returns the wanted
/// attribute of the answer; none where the kernel knows no such family.
fn ask(family: u16, command: u8, attributes: &[u8], wanted: u16) -> io::Result<Option<Vec<u8>>> {
    let socket = open_socket(NETLINK_GENERIC)?;
    let length = (HEADERS + attributes.len()) as u32;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(family.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    // Sequence number and port, of which there is one of each.
    message.extend([0; 8]);
    message.extend([command, 1, 0, 0]);
    message.extend(attributes);
    socket.send_to(&message, &SocketAddr::new(0, 0), 0)?;
    let mut buffer = receive_buffer();
    let mut answer = None;
    loop {
        receive(&socket, &mut buffer)?;
        for message in Messages::new(&buffer) {
            let Some((header, body)) = message.split_at_checked(NLMSG_HEADER) else {
                continue;
            };
            if header[4..6] != NLMSG_ERROR.to_ne_bytes() {
                answer = body.get(GENL_HEADER..).and_then(|it| find(it, wanted));
                continue;
            }
            let code = body
                .first_chunk()
                .map_or(0, |code| i32::from_ne_bytes(*code));
            return match -code {
                0 => Ok(answer),
                libc::ENOENT => Ok(None),
                code => Err(io::Error::from_raw_os_error(code)),
            };
        }
    }
}

/// A netlink attribute, padded.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len()) as u16;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn find(attributes: &[u8], wanted: u16) -> Option<Vec<u8>> {
    let mut found = NlasIterator::new(attributes).flatten();
    let found = found.find(|attribute| attribute.kind() == wanted)?;
    Some(found.value().to_vec())
}

/// Bytes of `struct nlmsghdr` and `struct genlmsghdr`.
const NLMSG_HEADER: usize = 16;
const GENL_HEADER: usize = 4;
const HEADERS: usize = NLMSG_HEADER + GENL_HEADER;
const NLMSG_ERROR: u16 = 2;

// include/uapi/linux/genetlink.h
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

// include/uapi/linux/netdev.h
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
/// `enum netdev_xdp_act`.
const BASIC: u64 = 1;
const REDIRECT: u64 = 1 << 1;
const ZERO_COPY: u64 = 1 << 3;
const RECEIVE_SCATTERED: u64 = 1 << 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_copy_without_redirection_is_of_no_use() {
        let abilities = XdpAbilities::of_bits(BASIC | ZERO_COPY);
        assert!(!abilities.native && !abilities.zero_copy);
        let abilities = XdpAbilities::of_bits(BASIC | REDIRECT | ZERO_COPY);
        assert!(abilities.native && abilities.zero_copy && !abilities.multi_buffer);
    }

    #[test]
    fn attributes_are_padded_and_found() {
        let mut both = attribute(7, b"abc");
        both.extend(attribute(8, &[1, 2]));
        assert_eq!(both.len(), 16);
        assert_eq!(find(&both, 8), Some(vec![1, 2]));
        assert_eq!(find(&both, 9), None);
    }

    #[test]
    fn the_loopback_interface_has_no_native_xdp() {
        assert!(!XdpAbilities::of(1).unwrap().is_some_and(|it| it.native));
    }

    #[test]
    fn a_link_that_is_not_there_is_an_error() {
        let error = XdpAbilities::of(0x7fff_fff0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
