//! Receiving in batches: [`receive`], [`Arrival`].

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_uint, c_void, iovec, mmsghdr};

use super::check;
use crate::sys::tun::VNET_HEADER_BYTES;

/// Most frames that one call receives.
pub(crate) const MOST_ARRIVALS: usize = 32;
/// What the kernel says of a frame that it copied into the caller's buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Its length in bytes, in both buffers together.
    pub(crate) len: usize,
    /// Whether the buffers were too short.
    pub(crate) cut: bool,
    /// Whether its transport checksum is not made yet.
    pub(crate) checksum_unready: bool,
    /// VIRTIO_NET_HDR_GSO_ kind of the super-packet that it is, or 0.
    pub(crate) super_kind: u8,
    /// Bytes of payload in each of that super-packet's segments.
    pub(crate) segment: u16,
    /// The VLAN tag that the kernel took out of it.
    pub(crate) tag: Option<[u8; 4]>,
}

/// Receives as many frames as wait and there are `buffers` and `arrivals` for;
/// how many that were. Each begins in the first buffer of its pair and goes on
/// in the second. `WouldBlock` if none waits.
///
/// The socket must have PACKET_VNET_HDR and PACKET_AUXDATA set.
pub(crate) fn receive<'b>(
    socket: BorrowedFd<'_>,
    buffers: impl Iterator<Item = [&'b mut [u8]; 2]>,
    arrivals: &mut [Arrival],
) -> io::Result<usize> {
    let mut headers = [[0; VNET_HEADER_BYTES]; MOST_ARRIVALS];
    let mut controls = [Control([0; CONTROL_BYTES]); MOST_ARRIVALS];
    let mut vectors = [[NO_VECTOR; 3]; MOST_ARRIVALS];
    let mut count = 0;
    let most = arrivals.len().min(MOST_ARRIVALS);
    for ((vector, header), [first, second]) in vectors.iter_mut().zip(&mut headers).zip(buffers) {
        *vector = [vector_mut(header), vector_mut(first), vector_mut(second)];
        count += 1;
        if count == most {
            break;
        }
    }
    // SAFETY: mmsghdr is plain old data, for which zeros are a value.
    let mut messages: [mmsghdr; MOST_ARRIVALS] = unsafe { mem::zeroed() };
    for ((message, vector), control) in messages.iter_mut().zip(&mut vectors).zip(&mut controls) {
        message.msg_hdr.msg_iov = vector.as_mut_ptr();
        message.msg_hdr.msg_iovlen = vector.len() as _;
        message.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
        message.msg_hdr.msg_controllen = CONTROL_BYTES as _;
    }
    // SAFETY: the first `count` messages point to vectors, headers and controls
    // that are locals of this call, and through the vectors to `buffers`, which
    // their lifetime keeps exclusively borrowed and alive beyond this call.
    let got = unsafe {
        check(libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as c_uint,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        ))?
    } as usize;
    for (index, arrival) in arrivals.iter_mut().take(got).enumerate() {
        *arrival = arrived(&messages[index], &headers[index]);
    }
    Ok(got)
}

/// Reads one message's result.
fn arrived(message: &mmsghdr, header: &[u8; VNET_HEADER_BYTES]) -> Arrival {
    let mut arrival = Arrival {
        len: (message.msg_len as usize).saturating_sub(VNET_HEADER_BYTES),
        cut: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        checksum_unready: header[0] & NEEDS_CHECKSUM != 0,
        super_kind: header[1],
        segment: u16::from_ne_bytes([header[4], header[5]]),
        tag: None,
    };
    if let Some(auxiliary) = auxiliary(&message.msg_hdr) {
        arrival.checksum_unready |= auxiliary.tp_status & libc::TP_STATUS_CSUMNOTREADY != 0;
        arrival.tag = tag(&auxiliary);
    }
    arrival
}

fn auxiliary(message: &libc::msghdr) -> Option<libc::tpacket_auxdata> {
    // SAFETY: `message` came back from recvmmsg with its control pointer and
    // length set to what the kernel wrote, so that the first control message,
    // if there is one, lies within; its length says whether the data does.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(message);
        if control.is_null() {
            return None;
        }
        let wanted = libc::CMSG_LEN(size_of::<libc::tpacket_auxdata>() as c_uint) as usize;
        let is_it = (*control).cmsg_level == libc::SOL_PACKET
            && (*control).cmsg_type == libc::PACKET_AUXDATA
            && (*control).cmsg_len as usize >= wanted;
        is_it.then(|| ptr::read_unaligned(libc::CMSG_DATA(control).cast()))
    }
}

fn tag(auxiliary: &libc::tpacket_auxdata) -> Option<[u8; 4]> {
    if auxiliary.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let protocol = match auxiliary.tp_status & libc::TP_STATUS_VLAN_TPID_VALID {
        0 => libc::ETH_P_8021Q as u16,
        _ => auxiliary.tp_vlan_tpid,
    };
    let [a, b] = protocol.to_be_bytes();
    let [c, d] = auxiliary.tp_vlan_tci.to_be_bytes();
    Some([a, b, c, d])
}

fn vector_mut(bytes: &mut [u8]) -> iovec {
    iovec {
        iov_base: bytes.as_mut_ptr().cast::<c_void>(),
        iov_len: bytes.len(),
    }
}

/// Room for one control message, aligned as its header must be.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

/// CMSG_SPACE(sizeof(struct tpacket_auxdata)).
const CONTROL_BYTES: usize = 40;
const NO_VECTOR: iovec = iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};
/// VIRTIO_NET_HDR_F_NEEDS_CSUM.
const NEEDS_CHECKSUM: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_message_fits_its_room() {
        // SAFETY: a computation on its argument alone.
        let space = unsafe { libc::CMSG_SPACE(size_of::<libc::tpacket_auxdata>() as c_uint) };
        assert_eq!(space as usize, CONTROL_BYTES);
    }

    #[test]
    fn a_tag_is_as_it_was_on_the_wire() {
        // SAFETY: tpacket_auxdata is plain old data, for which zeros are a value.
        let mut auxiliary: libc::tpacket_auxdata = unsafe { mem::zeroed() };
        assert_eq!(tag(&auxiliary), None);
        auxiliary.tp_vlan_tci = 0x6005;
        auxiliary.tp_status = libc::TP_STATUS_VLAN_VALID;
        assert_eq!(tag(&auxiliary), Some([0x81, 0, 0x60, 5]));
        auxiliary.tp_status |= libc::TP_STATUS_VLAN_TPID_VALID;
        auxiliary.tp_vlan_tpid = 0x88a8;
        assert_eq!(tag(&auxiliary), Some([0x88, 0xa8, 0x60, 5]));
    }
}
