//! How a NIC spreads what it receives over its queues (RSS).

use std::io;

use super::{Ethtool, Query};

/// What of a packet a NIC hashes to choose a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashFields {
    /// Both addresses.
    pub(crate) addresses: bool,
    /// Both ports.
    pub(crate) ports: bool,
}

/// Packets that are hashed alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    TcpV4 = 1,
    UdpV4 = 2,
    TcpV6 = 5,
    UdpV6 = 6,
}

impl Ethtool {
    /// The queue of each value of a NIC's hash. EOPNOTSUPP if its driver does
    /// not say.
    pub(crate) fn indirection(&self, nic: &str) -> io::Result<Vec<u32>> {
        let answer = self.ask(
            nic,
            Indirection {
                command: ETHTOOL_GRXFHINDIR,
                size: LONGEST as u32,
                queues: [0; LONGEST],
            },
        )?;
        let size = (answer.size as usize).min(LONGEST);
        Ok(answer.queues[..size].to_vec())
    }

    /// What of these packets a NIC hashes. EOPNOTSUPP if its driver does not
    /// say.
    pub(crate) fn hash_fields(&self, nic: &str, flow: Flow) -> io::Result<HashFields> {
        let answer = self.ask(
            nic,
            HashQuestion {
                command: ETHTOOL_GRXFH,
                flow: flow as u32,
                fields: 0,
            },
        )?;
        Ok(HashFields {
            addresses: answer.fields & ADDRESSES == ADDRESSES,
            ports: answer.fields & PORTS == PORTS,
        })
    }
}

/// `struct ethtool_rxfh_indir`.
#[repr(C)]
struct Indirection {
    command: u32,
    size: u32,
    queues: [u32; LONGEST],
}

// SAFETY: the command, then numbers; the kernel writes no more queues than the
// size says there is room for.
unsafe impl Query for Indirection {}

/// `struct ethtool_rxnfc` up to the fields, which is all of it that this
/// command has used from the beginning.
#[repr(C)]
struct HashQuestion {
    command: u32,
    flow: u32,
    fields: u64,
}

// SAFETY: the command, then numbers; for this command the kernel takes and
// gives no more than these (net/ethtool/ioctl.c, `ethtool_rxnfc_copy_struct`).
unsafe impl Query for HashQuestion {}

const ETHTOOL_GRXFH: u32 = 0x29;
const ETHTOOL_GRXFHINDIR: u32 = 0x38;
/// Entries of the longest table there is room for; drivers have 64 to 2048.
const LONGEST: usize = 4096;
/// `RXH_IP_SRC` and `RXH_IP_DST`.
const ADDRESSES: u64 = 1 << 4 | 1 << 5;
/// `RXH_L4_B_0_1` and `RXH_L4_B_2_3`.
const PORTS: u64 = 1 << 6 | 1 << 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_have_the_kernel_s_layout() {
        assert_eq!(std::mem::offset_of!(Indirection, queues), 8);
        assert_eq!(size_of::<HashQuestion>(), 16);
    }

    #[test]
    fn a_device_without_a_hash_says_so() {
        let ethtool = Ethtool::open().unwrap();
        assert!(ethtool.indirection("lo").is_err());
        assert!(ethtool.hash_fields("lo", Flow::UdpV4).is_err());
    }
}
