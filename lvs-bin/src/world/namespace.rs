//! [`Namespace`]: an anonymous network namespace, held by a descriptor.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic;
use std::thread::{self, JoinHandle};

use lvs_io::netlink::Network;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::getegid;

/// An anonymous network namespace: one machine of a [world](super).
///
/// Only this value's descriptor and the threads inside keep it alive. It has
/// no name in the file system, so nothing is left behind however the process
/// ends. Interfaces that were moved into it are destroyed with it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// Makes a namespace with `lo` alone, which is up, and whose settings do
    /// not depend on the machine's: no forwarding, no reverse-path filter, IPv6
    /// without duplicate address detection and without router advertisements.
    /// `name` is for people and for thread names.
    ///
    /// Errors: unsharing needs CAP_SYS_ADMIN.
    pub fn new(name: impl Into<String>) -> io::Result<Self> {
        let name = name.into();
        let file = in_thread(&name, || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            for (setting, value) in FRESH {
                write_setting(setting, value)?;
            }
            // Who may open ping sockets: groups from and to.
            let group = getegid();
            write_setting("ipv4/ping_group_range", &format!("{group} {group}"))?;
            Network::open()
                .and_then(|mut network| network.set_up("lo"))
                .map_err(io::Error::other)?;
            File::open(OWN_NAMESPACE)
        })?;
        Ok(Self { name, file })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` in the namespace, on a thread of its own, and waits for it.
    /// Sockets opened by `work` stay in the namespace wherever they go, and so
    /// do threads it starts. A panic in `work` goes on in the caller.
    ///
    /// Errors: entering needs CAP_SYS_ADMIN.
    pub fn run<T, F>(&self, work: F) -> io::Result<T>
    where
        T: Send,
        F: FnOnce() -> io::Result<T> + Send,
    {
        in_thread(&self.name, || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            work()
        })
    }

    /// Starts a thread in the namespace; the namespace outlives `self` while
    /// the thread runs.
    ///
    /// Errors: entering needs CAP_SYS_ADMIN; the thread has then ended.
    pub fn spawn<F>(&self, work: F) -> io::Result<JoinHandle<()>>
    where
        F: FnOnce() + Send + 'static,
    {
        let file = self.file.try_clone()?;
        let (entered, answer) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || {
                let entry = setns(&file, CloneFlags::CLONE_NEWNET);
                let inside = entry.is_ok();
                // The caller waits for exactly this one message.
                let _ = entered.send(entry);
                if inside {
                    work();
                }
            })?;
        answer
            .recv()
            .map_err(|_| io::Error::other("a namespace's thread ended before it began"))??;
        Ok(thread)
    }

    /// Its links, addresses, routes and neighbours, to see and to change.
    ///
    /// Errors: entering needs CAP_SYS_ADMIN.
    pub fn network(&self) -> io::Result<Network> {
        self.run(|| Network::open().map_err(io::Error::other))
    }

    /// Writes a setting below `/proc/sys/net`, as in
    /// `set("ipv4/conf/all/arp_ignore", "1")`, for this namespace alone.
    ///
    /// Errors: no such setting in this kernel, or the value is refused.
    pub fn set(&self, setting: &str, value: &str) -> io::Result<()> {
        self.run(|| write_setting(setting, value))
    }
}

impl AsFd for Namespace {
    /// The descriptor by which links are moved into the namespace.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// `/proc/sys/net` shows the namespace of the thread that opens it.
fn write_setting(setting: &str, value: &str) -> io::Result<()> {
    let path = format!("/proc/sys/net/{setting}");
    fs::write(&path, value).map_err(|error| {
        io::Error::new(error.kind(), format!("writing {value} to {path}: {error}"))
    })
}

/// A thread that changed its namespace cannot be trusted to come back, so each
/// visit gets a fresh one.
fn in_thread<T, F>(name: &str, work: F) -> io::Result<T>
where
    T: Send,
    F: FnOnce() -> io::Result<T> + Send,
{
    thread::scope(|scope| {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, work)?
            .join()
            .unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";

/// A new namespace may inherit the machine's values, so each is set.
const FRESH: [(&str, &str); 13] = [
    ("ipv4/ip_forward", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/arp_ignore", "0"),
    ("ipv4/conf/default/arp_ignore", "0"),
    ("ipv4/conf/all/arp_announce", "0"),
    ("ipv4/conf/default/arp_announce", "0"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv6/conf/all/forwarding", "0"),
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
];

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn own_inode() -> io::Result<u64> {
        Ok(fs::metadata(OWN_NAMESPACE)?.ino())
    }

    /// Namespaces need CAP_SYS_ADMIN; without it the tests say so and pass.
    fn namespace(name: &str) -> Option<Namespace> {
        match Namespace::new(name) {
            Ok(namespace) => Some(namespace),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                crate::skip::say("making a network namespace needs CAP_SYS_ADMIN");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn work_runs_inside_and_the_caller_stays_outside() {
        let Some(inside) = namespace("inside") else {
            return;
        };
        let before = own_inode().unwrap();
        let seen = inside.run(own_inode).unwrap();
        assert_ne!(seen, before);
        assert_eq!(seen, inside.run(own_inode).unwrap());
        assert_eq!(own_inode().unwrap(), before);
    }

    #[test]
    fn two_namespaces_do_not_share_settings() {
        let (Some(one), Some(other)) = (namespace("one"), namespace("other")) else {
            return;
        };
        one.set("ipv4/ip_forward", "1").unwrap();
        let read = || fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
        assert_eq!(one.run(read).unwrap(), "1\n");
        assert_eq!(other.run(read).unwrap(), "0\n");
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let Some(inside) = namespace("inside") else {
            return;
        };
        let error = inside.set("ipv4/no_such_thing", "1").unwrap_err();
        assert!(error.to_string().contains("ipv4/no_such_thing"), "{error}");
    }

    #[test]
    fn a_spawned_thread_is_inside() {
        let Some(inside) = namespace("inside") else {
            return;
        };
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = inside
            .spawn(move || sender.send(own_inode()).unwrap())
            .unwrap();
        thread.join().unwrap();
        assert_eq!(
            receiver.recv().unwrap().unwrap(),
            inside.run(own_inode).unwrap()
        );
    }

    #[test]
    fn lo_is_up_and_alone() {
        let Some(inside) = namespace("inside") else {
            return;
        };
        let links = inside.network().unwrap().links().unwrap();
        assert!(
            links.iter().all(|link| link.loopback && link.up),
            "{links:?}"
        );
        inside
            .run(|| {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                std::net::TcpStream::connect(listener.local_addr()?).map(|_| ())
            })
            .unwrap();
    }

    #[test]
    #[should_panic(expected = "seen by the caller")]
    fn a_panic_goes_on_in_the_caller() {
        let Some(inside) = namespace("inside") else {
            panic!("not run, but seen by the caller");
        };
        let _ = inside.run::<(), _>(|| panic!("seen by the caller"));
    }
}
