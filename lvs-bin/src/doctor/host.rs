//! A host as its kernel shows it, in one network namespace: [`Host`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lvs_core::Protocol;
use lvs_io::netlink::{Link, Mirror, Prefix, Resolution, Route, View};

/// The links, addresses, routes, neighbours, settings and listening sockets of
/// a network namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) view: View,
    /// By their path below `/proc/sys/net`.
    pub(super) settings: BTreeMap<String, i64>,
    pub(super) listeners: Vec<Listener>,
}

/// A socket that takes what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) protocol: Protocol,
    pub(super) address: IpAddr,
    pub(super) port: u16,
}

impl Host {
    /// Looks at the calling thread's.
    pub(super) fn look() -> io::Result<Self> {
        let mirror = Mirror::open().map_err(io::Error::other)?;
        let view = mirror.view().clone();
        Ok(Self {
            settings: settings(&view),
            listeners: listeners(),
            view,
        })
    }

    /// A setting below `/proc/sys/net`; none if this kernel has none such.
    pub(super) fn setting(&self, path: &str) -> Option<i64> {
        self.settings.get(path).copied()
    }

    /// An IPv4 setting of which the larger of the link's own and the one for
    /// all counts.
    ///
    /// *Source:* Documentation/networking/ip-sysctl.rst says so of `rp_filter`,
    /// `arp_ignore` and `arp_announce`.
    pub(super) fn strictest(&self, link: &str, name: &str) -> i64 {
        let of = |whose| self.setting(&format!("ipv4/conf/{whose}/{name}"));
        of("all").max(of(link)).unwrap_or(0)
    }

    /// The links that have this address.
    pub(super) fn links_with(&self, address: IpAddr) -> impl Iterator<Item = (&Link, Prefix)> {
        let with = self.view.addresses();
        let with = with.filter(move |it| it.prefix.address() == address);
        with.filter_map(|it| Some((self.view.link(it.link)?, it.prefix)))
    }

    /// Whether it takes packets to this address for its own.
    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        self.view.resolve(address) == Resolution::Local
    }

    /// The first link whose network this address is in.
    pub(super) fn link_towards(&self, address: IpAddr) -> Option<&Link> {
        let near = self.view.addresses().find(|it| {
            let prefix = it.prefix;
            prefix.length() < Prefix::host(prefix.address()).length() && prefix.contains(address)
        });
        self.view.link(near?.link)
    }

    /// The route to everything of this address's family.
    pub(super) fn default_route(&self, like: IpAddr) -> Option<&Route> {
        let all = match like {
            IpAddr::V4(_) => Prefix::ALL_V4,
            IpAddr::V6(_) => Prefix::ALL_V6,
        };
        let mut best = self.view.best_routes();
        best.find(|(prefix, _)| *prefix == all)?.1
    }

    /// Whether a socket takes what is sent there. One on every IPv6 address
    /// mostly takes IPv4 as well.
    pub(super) fn listens(&self, protocol: Protocol, address: IpAddr, port: u16) -> bool {
        let takes = |it: &Listener| {
            let any = it.address.is_unspecified()
                && (it.address.is_ipv6() || it.address.is_ipv4() == address.is_ipv4());
            it.protocol == protocol && it.port == port && (any || it.address == address)
        };
        self.listeners.iter().any(takes)
    }
}

fn settings(view: &View) -> BTreeMap<String, i64> {
    let links = view.links().map(|link| link.name.as_str());
    let of_links = ["all"].into_iter().chain(links).flat_map(|link| {
        ["rp_filter", "arp_ignore", "arp_announce"].map(|name| format!("ipv4/conf/{link}/{name}"))
    });
    let others = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"].map(str::to_owned);
    let read = |path: String| {
        let text = fs::read_to_string(format!("/proc/sys/net/{path}")).ok()?;
        Some((path, text.trim().parse().ok()?))
    };
    of_links.chain(others).filter_map(read).collect()
}

fn listeners() -> Vec<Listener> {
    let of = |protocol, file: &str, state: &str| {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{file}"));
        let text = text.unwrap_or_default();
        let found = text.lines().filter_map(|line| listener(line, state));
        let found = found.map(|(address, port)| Listener {
            protocol,
            address,
            port,
        });
        found.collect::<Vec<_>>()
    };
    [
        of(Protocol::Tcp, "tcp", TCP_LISTEN),
        of(Protocol::Tcp, "tcp6", TCP_LISTEN),
        of(Protocol::Udp, "udp", UDP_UNCONNECTED),
        of(Protocol::Udp, "udp6", UDP_UNCONNECTED),
    ]
    .concat()
}

/// The local end in a line of the kernel's socket lists, if it is in this state.
fn listener(line: &str, state: &str) -> Option<(IpAddr, u16)> {
    let mut fields = line.split_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    (fields.nth(1)? == state).then_some(())?;
    // Words of 32 bits as they lie in memory, each written as a number.
    let words = (0..address.len() / 8).map(|at| u32::from_str_radix(&address[at * 8..][..8], 16));
    let words: Vec<u32> = words.collect::<Result<_, _>>().ok()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let address = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    let address = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// States as `/proc/net/tcp` and `/proc/net/udp` write them.
const TCP_LISTEN: &str = "0A";
const UDP_UNCONNECTED: &str = "07";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_sockets_are_found() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let host = Host::look().unwrap();
        let at = tcp.local_addr().unwrap();
        assert!(host.listens(Protocol::Tcp, at.ip(), at.port()));
        assert!(!host.listens(Protocol::Tcp, "127.0.0.2".parse().unwrap(), at.port()));
        let at = udp.local_addr().unwrap();
        assert!(host.listens(Protocol::Udp, at.ip(), at.port()));
        assert!(!host.listens(Protocol::Udp, "127.0.0.1".parse().unwrap(), at.port()));
    }

    #[test]
    fn a_line_without_a_socket_is_none() {
        let head = "  sl  local_address rem_address   st tx_queue";
        assert_eq!(listener(head, TCP_LISTEN), None);
        let connected = "0: 0100007F:0016 0100007F:D2F0 01 00000000:00000000";
        assert_eq!(listener(connected, TCP_LISTEN), None);
        assert!(listener(connected, "01").is_some());
    }

    #[test]
    fn the_larger_setting_counts() {
        let settings = [("all", 1), ("eth0", 0), ("eth1", 2)];
        let settings = settings.map(|(link, value)| (format!("ipv4/conf/{link}/rp_filter"), value));
        let host = Host {
            settings: settings.into(),
            ..Host::default()
        };
        let strictest = ["eth0", "eth1", "eth2"].map(|link| host.strictest(link, "rp_filter"));
        assert_eq!(strictest, [1, 2, 1]);
    }
}
