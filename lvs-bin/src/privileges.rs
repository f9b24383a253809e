//! Whether this process may do what it is asked for, and what to type if not.

use std::env;
use std::fmt;
use std::fs;
use std::io;

use nix::unistd::geteuid;

/// What privileges are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Directing on the NICs of this machine.
    Directing,
    /// Building networks, and directing in them.
    Demo,
}

/// Privileges that some work needs and this process lacks.
///
/// Displayed as what each is for, and what to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    work: Work,
    capabilities: Vec<&'static Capability>,
    root: bool,
    program: String,
    arguments: String,
}

/// One of the kernel's capabilities (capabilities(7)).
#[derive(Debug, PartialEq, Eq)]
struct Capability {
    bit: u32,
    name: &'static str,
    purpose: &'static str,
    need: Need,
}

/// What does without a capability.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// Nothing.
    All,
    /// A director, if only by AF_PACKET or little packet memory; it says so
    /// itself.
    Demo,
    /// Every director: it has no networks to build.
    BuildingOnly,
}

/// Looks whether this process has the capabilities without which `work` cannot
/// be done.
///
/// # Errors
///
/// `Ok(Err(_))` names what is lacking; `Err` when `/proc` cannot tell.
pub fn check_privileges(work: Work) -> io::Result<Result<(), Lacking>> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let effective = effective(&status)
        .ok_or_else(|| io::Error::other("/proc/thread-self/status shows no CapEff"))?;
    let program = env::current_exe().map_or("lvs".into(), |path| path.display().to_string());
    let arguments: Vec<String> = env::args().skip(1).collect();
    Ok(lacking(
        work,
        effective,
        geteuid().is_root(),
        program,
        arguments.join(" "),
    ))
}

fn lacking(
    work: Work,
    effective: u64,
    root: bool,
    program: String,
    arguments: String,
) -> Result<(), Lacking> {
    let capabilities: Vec<_> = NEEDED
        .iter()
        .filter(|capability| work == Work::Demo || capability.need != Need::BuildingOnly)
        .filter(|capability| effective & (1 << capability.bit) == 0)
        .collect();
    let is_vital = |capability: &&Capability| work == Work::Demo || capability.need == Need::All;
    if !capabilities.iter().any(is_vital) {
        return Ok(());
    }
    Err(Lacking {
        work,
        capabilities,
        root,
        program,
        arguments,
    })
}

/// The effective set of `/proc/*/status`.
fn effective(status: &str) -> Option<u64> {
    let digits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

impl std::error::Error for Lacking {}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "this needs privileges that the process lacks:")?;
        for capability in &self.capabilities {
            writeln!(f, "  {:14}  {}", capability.name, capability.purpose)?;
        }
        if self.root {
            writeln!(
                f,
                "It runs as root without them, as in a container. Start that with"
            )?;
            return match self.work {
                // Capabilities alone would not do: /proc/sys is read-only in there.
                Work::Demo => write!(f, "  docker run --privileged ..."),
                Work::Directing => {
                    write!(f, "  docker run --network host --device /dev/net/tun")?;
                    for capability in &self.capabilities {
                        write!(
                            f,
                            " --cap-add {}",
                            capability.name.trim_start_matches("CAP_")
                        )?;
                    }
                    write!(f, " ...")
                }
            };
        }
        writeln!(f, "Type")?;
        write!(f, "  sudo {} {}", self.program, self.arguments)
    }
}

/// Numbers as in the kernel's include/uapi/linux/capability.h.
const NEEDED: [Capability; 5] = [
    Capability {
        bit: 21,
        name: "CAP_SYS_ADMIN",
        purpose: "to make network namespaces and enter them",
        need: Need::BuildingOnly,
    },
    Capability {
        bit: 12,
        name: "CAP_NET_ADMIN",
        purpose: "to attach the steering program, and to set up links",
        need: Need::All,
    },
    Capability {
        bit: 13,
        name: "CAP_NET_RAW",
        purpose: "to open AF_XDP, AF_PACKET and raw IP sockets",
        need: Need::All,
    },
    Capability {
        bit: 39,
        name: "CAP_BPF",
        purpose: "to load the steering program",
        need: Need::Demo,
    },
    Capability {
        bit: 14,
        name: "CAP_IPC_LOCK",
        purpose: "to keep packet memory in place, beyond the usual limit",
        need: Need::Demo,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = 1 << 21 | 1 << 12 | 1 << 13 | 1 << 39 | 1 << 14;

    fn told(effective: u64, root: bool) -> String {
        lacking(
            Work::Demo,
            effective,
            root,
            "./lvs".into(),
            "demo dr".into(),
        )
        .unwrap_err()
        .to_string()
    }

    #[test]
    fn a_director_needs_less_than_a_demo_and_is_told_all_of_it() {
        let may =
            |effective, root| lacking(Work::Directing, effective, root, "lvs".into(), "run".into());
        assert_eq!(may(1 << 12 | 1 << 13, false), Ok(()), "AF_PACKET goes");
        let told = may(0, false).unwrap_err().to_string();
        for name in ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_IPC_LOCK"] {
            assert!(told.contains(name), "{told}");
        }
        assert!(!told.contains("CAP_SYS_ADMIN"), "{told}");
        assert!(told.ends_with("sudo lvs run"), "{told}");
        let told = may(1 << 12 | 1 << 39 | 1 << 14, true)
            .unwrap_err()
            .to_string();
        assert!(told.contains("--cap-add NET_RAW ..."), "{told}");
    }

    #[test]
    fn nothing_is_lacking_where_all_is_there() {
        assert_eq!(lacking(Work::Demo, ALL, true, "".into(), "".into()), Ok(()));
    }

    #[test]
    fn a_user_is_told_to_type_sudo() {
        let told = told(0, false);
        assert!(told.contains("CAP_BPF"), "{told}");
        assert!(told.ends_with("Type\n  sudo ./lvs demo dr"), "{told}");
    }

    #[test]
    fn root_in_a_container_is_told_how_to_start_it() {
        assert_eq!(
            told(ALL & !(1 << 39), true),
            "this needs privileges that the process lacks:\n  \
             CAP_BPF         to load the steering program\n\
             It runs as root without them, as in a container. Start that with\n  \
             docker run --privileged ..."
        );
    }

    #[test]
    fn the_effective_set_is_read() {
        let status = "Name:\tlvs\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000003000\n";
        assert_eq!(effective(status), Some(1 << 12 | 1 << 13));
        assert_eq!(effective("Name:\tlvs\n"), None);
    }
}
