//! An interface of the director: [`Arm`].

use std::fs;

use lvs_io::{Nic, Owner, Setup};

/// What is to be known of an interface that the configuration names.
#[derive(Clone, Debug)]
pub(super) struct Arm {
    pub(super) nic: Nic,
    pub(super) setup: Setup,
    /// Whose XDP program is attached to it.
    pub(super) owner: Option<Owner>,
    /// Whether it takes the tag off frames of VLANs that the host has on it.
    pub(super) hides_vlans: bool,
    /// The NUMA node it is plugged into, where there are several.
    pub(super) node: Option<usize>,
}

impl Arm {
    /// Looks at the interface called `name`.
    ///
    /// *Errors:* why it cannot be one, in words.
    pub(super) fn look(name: &str) -> Result<Self, String> {
        let nic = Nic::named(name).map_err(|error| error.to_string())?;
        Ok(Self {
            setup: nic.setup(),
            owner: nic.xdp_owner(),
            hides_vlans: nic.hides_vlans(),
            node: node(&nic),
            nic,
        })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.nic.name
    }

    /// Whether the director that has it is lvs.
    pub(super) fn is_ours(&self) -> bool {
        matches!(&self.owner, Some(Owner::Process { name, .. }) if name.starts_with("lvs"))
    }

    /// Whether its driver is known to have no XDP of its own.
    pub(super) fn lacks_native(&self) -> bool {
        self.setup.xdp.is_some_and(|xdp| !xdp.native)
    }
}

/// What sysfs shows may be another network namespace's interface of the name.
fn node(nic: &Nic) -> Option<usize> {
    let folder = format!("/sys/class/net/{}", nic.name);
    let index = fs::read_to_string(format!("{folder}/ifindex")).ok()?;
    (index.trim() == nic.index.to_string()).then_some(())?;
    let node = fs::read_to_string(format!("{folder}/device/numa_node")).ok()?;
    // -1 where there are no nodes to tell apart.
    node.trim().parse().ok()
}
