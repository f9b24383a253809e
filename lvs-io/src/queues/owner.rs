//! Whether a NIC is another program's already, and whose.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::error::Error;
use crate::netlink::Network;
use crate::nic::Nic;

/// Whose XDP program is attached to a NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A process holds it.
    Process {
        /// Its number.
        number: u32,
        /// What the kernel calls it, as `ps` does.
        name: String,
    },
    /// No process needs to, as when `ip link` has attached it; or processes
    /// may not be looked into.
    Unknown,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { number, name } => write!(f, "process {number} ({name})"),
            Self::Unknown => f.write_str("another program"),
        }
    }
}

impl Nic {
    /// Whose XDP program is attached to it; none if none is. Asks the kernel
    /// anew. *Cost:* reads the descriptors of all processes if one is.
    #[must_use]
    pub fn xdp_owner(&self) -> Option<Owner> {
        let program = attached_program(&self.name)?;
        Some(owner(Path::new("/proc"), program).unwrap_or(Owner::Unknown))
    }
}

/// Whether a mode was refused because another program has the NIC: its XDP hook
/// (EBUSY, or EEXIST where that program is of the other XDP mode) or the queue.
pub(super) fn is_taken(refusal: &Error) -> bool {
    matches!(
        refusal.os().kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::AlreadyExists
    )
}

/// What is said instead of going on in a slower mode, beside the owner: both
/// would direct the same packets.
pub(super) fn refuse(nics: &[Nic], refusal: &Error) -> Error {
    let owned = nics.iter().find_map(|nic| Some((nic, nic.xdp_owner()?)));
    let (nic, owner) = match owned {
        Some((nic, owner)) => (Some(nic), owner),
        None => (None, Owner::Unknown),
    };
    let name = nic.map_or("the interface", |nic| nic.name.as_str());
    let advice = format!(
        "{owner} has {name} already ({refusal}): stop that, or say mode = \"packet\" to \
         receive beside it on purpose"
    );
    let error = Error::new(
        "take the fastest way of frames",
        io::Error::new(io::ErrorKind::ResourceBusy, advice),
    );
    match nic {
        Some(nic) => error.on(&nic.name),
        None => error,
    }
}

fn attached_program(nic: &str) -> Option<u32> {
    let mut network = Network::open().ok()?;
    network.link(nic).ok()?.xdp_program
}

/// The process that holds the link by which a program is attached, as the
/// kernel shows its descriptors; none if it may not be looked into, or if no
/// process needs to hold the program, as when `ip link` has attached it.
fn owner(proc: &Path, program: u32) -> Option<Owner> {
    let wanted = format!("prog_id:\t{program}");
    let processes = fs::read_dir(proc).ok()?.flatten();
    for process in processes {
        let number = process.file_name().into_string().unwrap_or_default();
        let Ok(number) = number.parse() else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fdinfo")) else {
            continue;
        };
        let holds = |shown: &str| {
            let mut lines = shown.lines();
            lines.any(|line| line == "link_type:\txdp") && lines.any(|line| line == wanted)
        };
        let mut shown = descriptors
            .flatten()
            .filter_map(|descriptor| fs::read_to_string(descriptor.path()).ok());
        if shown.any(|shown| holds(&shown)) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let name = name.trim_end().to_owned();
            return Some(Owner::Process { number, name });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_holds_the_link_is_found() {
        let proc = std::env::temp_dir().join(format!("lvs-owner-{}", std::process::id()));
        let link = "pos:\t0\nflags:\t02000000\nlink_type:\txdp\nlink_id:\t5\n\
                    prog_tag:\tabcd\nprog_id:\t42\nifindex:\t2\n";
        let tracing = link.replace("\txdp", "\ttracing");
        for (number, name, descriptor) in [("7", "other\n", &*tracing), ("9", "lvs\n", link)] {
            fs::create_dir_all(proc.join(number).join("fdinfo")).unwrap();
            fs::write(proc.join(number).join("comm"), name).unwrap();
            fs::write(proc.join(number).join("fdinfo/3"), descriptor).unwrap();
        }
        fs::create_dir_all(proc.join("bus")).unwrap();
        let found = [42, 43].map(|program| owner(&proc, program));
        fs::remove_dir_all(&proc).unwrap();
        let found = found.map(|owner| owner.map(|owner| owner.to_string()));
        assert_eq!(found, [Some("process 9 (lvs)".to_owned()), None]);
    }

    #[test]
    fn only_a_taken_nic_is_taken() {
        let refused = |code| Error::new("bind", io::Error::from_raw_os_error(code));
        assert!(is_taken(&refused(libc::EBUSY)));
        assert!(is_taken(&refused(libc::EEXIST)));
        assert!(!is_taken(&refused(libc::EOPNOTSUPP)));
    }
}
