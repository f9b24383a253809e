//! What a NIC's driver says of itself, through the ethtool ioctl.

mod features;
mod hash;

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub(crate) use hash::Flow;

/// A socket through which drivers of the thread's network namespace answer.
#[derive(Debug)]
pub(crate) struct Ethtool(OwnedFd);

/// Who drives a NIC, and where it is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Driver {
    pub(crate) name: String,
    /// Its address on a bus; empty for a device that exists in memory only.
    pub(crate) bus: String,
}

/// How many queues a NIC has in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channels {
    pub(crate) receive: u32,
    pub(crate) transmit: u32,
    /// Pairs that it could have.
    pub(crate) most: u32,
}

impl Ethtool {
    /// Opens one in the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given this descriptor to nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The driver of a NIC. EOPNOTSUPP if it does not say.
    pub(crate) fn driver(&self, nic: &str) -> io::Result<Driver> {
        let answer = self.ask(
            nic,
            DriverInfo {
                command: ETHTOOL_GDRVINFO,
                driver: [0; 32],
                versions: [[0; 32]; 2],
                bus: [0; 32],
                rest: [0; 64],
            },
        )?;
        Ok(Driver {
            name: text(&answer.driver),
            bus: text(&answer.bus),
        })
    }

    /// The queues of a NIC. EOPNOTSUPP if its driver does not say.
    pub(crate) fn channels(&self, nic: &str) -> io::Result<Channels> {
        let answer = self.ask(
            nic,
            ChannelInfo {
                command: ETHTOOL_GCHANNELS,
                ..ChannelInfo::default()
            },
        )?;
        Ok(Channels {
            receive: answer.receive + answer.combined,
            transmit: answer.transmit + answer.combined,
            most: answer.most[0].min(answer.most[1]) + answer.most[3],
        })
    }

    /// Whether a NIC takes the VLAN tag off what it receives. EOPNOTSUPP if
    /// its driver does not say.
    pub(crate) fn takes_tags_off(&self, nic: &str) -> io::Result<bool> {
        let answer = self.ask(
            nic,
            Value {
                command: ETHTOOL_GFLAGS,
                data: 0,
            },
        )?;
        Ok(answer.data & ETH_FLAG_RXVLAN != 0)
    }

    fn ask<T: Query>(&self, nic: &str, mut query: T) -> io::Result<T> {
        // SAFETY: a name and a union of plain data, for which zero is a value.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        // One byte less than there is room: the name ends with a zero.
        if nic.len() >= request.ifr_name.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(nic.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_data = (&raw mut query).cast();
        // SAFETY: the request lives through the call, and the query behind it
        // is as large as the command in it says, by the promise of `Query`.
        let result =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
        match result {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(query),
        }
    }
}

/// The text in a field that a zero ends.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0);
    let text = &field[..end.unwrap_or(field.len())];
    String::from_utf8_lossy(text).into_owned()
}

/// A struct of the ethtool ABI.
///
/// # Safety
///
/// It begins with the command that takes it, is as large as the kernel's, and
/// any bytes are a value of it.
unsafe trait Query {}

/// `struct ethtool_drvinfo` of include/uapi/linux/ethtool.h.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    versions: [[u8; 32]; 2],
    bus: [u8; 32],
    rest: [u8; 64],
}

// SAFETY: the command, then 192 bytes; both constructors of it set the command.
unsafe impl Query for DriverInfo {}

/// `struct ethtool_channels` of include/uapi/linux/ethtool.h.
#[repr(C)]
#[derive(Default)]
struct ChannelInfo {
    command: u32,
    /// Receive, transmit, other, combined.
    most: [u32; 4],
    receive: u32,
    transmit: u32,
    other: u32,
    combined: u32,
}

// SAFETY: nine 32-bit numbers, of which the first is the command.
unsafe impl Query for ChannelInfo {}

/// `struct ethtool_value` of include/uapi/linux/ethtool.h.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

// SAFETY: two 32-bit numbers, of which the first is the command.
unsafe impl Query for Value {}

const ETHTOOL_GDRVINFO: u32 = 0x3;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
/// `enum ethtool_flags`.
const ETH_FLAG_RXVLAN: u32 = 1 << 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_have_the_kernel_s_size() {
        assert_eq!(size_of::<DriverInfo>(), 196);
        assert_eq!(size_of::<ChannelInfo>(), 36);
        assert_eq!(size_of::<Value>(), 8);
    }

    #[test]
    fn a_nic_that_is_not_there_is_no_device() {
        let ethtool = Ethtool::open().unwrap();
        for name in ["no-such-nic", "a-name-too-long-for-one"] {
            let error = ethtool.driver(name).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        }
    }

    #[test]
    fn text_ends_at_the_first_zero_or_with_the_field() {
        assert_eq!(text(b"veth\0rubbish"), "veth");
        assert_eq!(text(b"full"), "full");
    }
}
