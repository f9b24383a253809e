//! Which offloads of a NIC are on.

use std::collections::BTreeSet;
use std::io;

use super::{Ethtool, Query, text};

impl Ethtool {
    /// The offloads of a NIC that are on, by the kernel's names: `rx-gro`.
    pub(crate) fn features(&self, nic: &str) -> io::Result<BTreeSet<String>> {
        let sets = self.ask(
            nic,
            StringSets {
                command: ETHTOOL_GSSET_INFO,
                reserved: 0,
                mask: 1 << ETH_SS_FEATURES,
                lengths: [0; 1],
            },
        )?;
        let count = sets.lengths[0] as usize;
        // The kernel writes as many names as it has, whatever is asked for.
        if count > MOST_FEATURES {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let names = self.ask(
            nic,
            Strings {
                command: ETHTOOL_GSTRINGS,
                set: ETH_SS_FEATURES,
                length: 0,
                names: [[0; 32]; MOST_FEATURES],
            },
        )?;
        let values = self.ask(
            nic,
            Features {
                command: ETHTOOL_GFEATURES,
                size: BLOCKS as u32,
                blocks: [Block::default(); BLOCKS],
            },
        )?;
        let is_on = |at: usize| values.blocks[at / 32].active >> (at % 32) & 1 != 0;
        let named = names.names.iter().take(count).enumerate();
        let on = named.filter(|(at, _)| is_on(*at));
        Ok(on.map(|(_, name)| text(name)).collect())
    }
}

/// `struct ethtool_sset_info` with room for one set's length.
#[repr(C)]
struct StringSets {
    command: u32,
    reserved: u32,
    mask: u64,
    lengths: [u32; 1],
}

// SAFETY: the command, then numbers; the kernel writes a length for each bit of
// the mask, which has one.
unsafe impl Query for StringSets {}

/// `struct ethtool_gstrings`.
#[repr(C)]
struct Strings {
    command: u32,
    set: u32,
    length: u32,
    names: [[u8; 32]; MOST_FEATURES],
}

// SAFETY: the command, then numbers and bytes; the one constructor has found
// that the kernel has no more names than there is room for.
unsafe impl Query for Strings {}

/// `struct ethtool_gfeatures`.
#[repr(C)]
struct Features {
    command: u32,
    size: u32,
    blocks: [Block; BLOCKS],
}

// SAFETY: the command, then numbers; the kernel writes no more blocks than the
// size says there are.
unsafe impl Query for Features {}

/// `struct ethtool_get_features_block`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Block {
    available: u32,
    requested: u32,
    active: u32,
    never_changed: u32,
}

const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
/// `enum ethtool_stringset`.
const ETH_SS_FEATURES: u32 = 4;
/// Linux 6.12 has 64, one for each bit of its `netdev_features_t`.
const MOST_FEATURES: usize = 256;
const BLOCKS: usize = MOST_FEATURES / 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_have_the_kernel_s_layout() {
        assert_eq!(std::mem::offset_of!(StringSets, lengths), 16);
        assert_eq!(std::mem::offset_of!(Strings, names), 12);
        assert_eq!(std::mem::offset_of!(Features, blocks), 8);
        assert_eq!(size_of::<Block>(), 16);
    }

    #[test]
    fn the_loopback_interface_has_features_that_are_on() {
        let features = Ethtool::open().unwrap().features("lo").unwrap();
        assert!(features.contains("loopback"), "{features:?}");
        assert!(!features.contains("rx-lro"), "{features:?}");
    }
}
