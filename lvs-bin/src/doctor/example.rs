//! Hosts that are only made up: for what a test cannot break without breaking
//! the machine.

use lvs_io::netlink::XdpAbilities;
use lvs_io::{Nic, Setup};

use super::arm::Arm;
use super::case::Case;
use super::host::Host;
use super::machine::{HugePages, Machine};
use crate::config::Settings;

/// A director on `eth0` with a UDP service, and `more` in `[director]`.
pub(super) fn settings(more: &str) -> Settings {
    let text = format!(
        "[director]\ninterfaces = [\"eth0\"]\n{more}\n\
         [[service]]\naddress = \"192.0.2.10:53\"\nprotocol = \"udp\"\n"
    );
    Settings::parse("example", &text).unwrap()
}

/// A host on which all is well: four queues, four processors of one node.
pub(super) fn whole(settings: &Settings) -> Case<'_> {
    let nic = Nic {
        queues: 4,
        driver: "ixgbe".to_owned(),
        ..Nic::in_memory("eth0", 1, 1500)
    };
    let xdp = XdpAbilities {
        native: true,
        zero_copy: true,
        multi_buffer: false,
    };
    Case {
        settings,
        arms: vec![Arm {
            nic,
            setup: Setup {
                most_queues: Some(8),
                xdp: Some(xdp),
                ..Setup::default()
            },
            owner: None,
            hides_vlans: false,
            node: None,
        }],
        unusable: Vec::new(),
        host: Host::default(),
        machine: Machine {
            huge_pages: HugePages {
                total: 1024,
                free: 1024,
                size: 2 << 20,
            },
            is_root: true,
            may_lock: None,
            processors: vec![0, 1, 2, 3],
            nodes: [(0, vec![0, 1, 2, 3])].into(),
        },
    }
}
