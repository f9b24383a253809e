//! What changes around a running director, told once a change: [`Witness`].
//!
//! It only compares: the follower's thread shows it what is so, and logs what
//! it answers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant as Clock};

use lvs_io::netlink::Link;

/// What is so around a director.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its NICs.
    pub(super) links: Links,
    /// The snapshot that the rest is from.
    pub(super) generation: u64,
    /// All real servers, sorted.
    pub(super) real_servers: Vec<IpAddr>,
    /// Those that cannot be sent to, and why.
    pub(super) unreachable: BTreeMap<IpAddr, &'static str>,
}

/// NICs by name, in their order.
pub(super) type Links = Vec<(String, LinkState)>;

/// Whether a NIC can carry frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    /// It can.
    Up,
    /// It is set up, but the other side or the cable is missing.
    NoCarrier,
    /// It is set down.
    Down,
    /// There is no such link any more.
    Gone,
}

/// Something that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// What a NIC is now.
    Link(String, LinkState),
    /// A real server can be sent to again.
    Reachable(IpAddr),
    /// It cannot be, and why.
    Unreachable(IpAddr, &'static str),
    /// So many more real servers have changed.
    More(usize),
}

/// Remembers what was told last.
///
/// It tells nothing for [a second](PAUSE) after it has told something; what has
/// changed and is as it was by then is not told at all.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// None before it begins.
    told: Option<Seen>,
    silent_until: Option<Clock>,
}

impl LinkState {
    /// Of what the host says of a link; none if it knows none.
    pub(super) fn of(link: Option<&Link>) -> Self {
        match link {
            None => Self::Gone,
            Some(link) if !link.up => Self::Down,
            Some(link) if !link.running => Self::NoCarrier,
            Some(_) => Self::Up,
        }
    }
}

impl News {
    /// Writes it to the log.
    pub(super) fn log(&self) {
        match self {
            Self::Link(nic, LinkState::Up) => {
                tracing::info!(event = "link_up", nic, "{self}");
            }
            Self::Link(nic, LinkState::NoCarrier) => {
                tracing::warn!(event = "link_without_carrier", nic, "{self}");
            }
            Self::Link(nic, LinkState::Down) => {
                tracing::warn!(event = "link_down", nic, "{self}");
            }
            Self::Link(nic, LinkState::Gone) => {
                tracing::warn!(event = "link_gone", nic, "{self}");
            }
            Self::Reachable(real_server) => {
                tracing::info!(event = "real_server_reachable", %real_server, "{self}");
            }
            Self::Unreachable(real_server, reason) => {
                let event = "real_server_unreachable";
                tracing::warn!(event, %real_server, reason, "{self}");
            }
            Self::More(count) => {
                tracing::warn!(event = "real_servers_changed", count, "{self}");
            }
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(nic, LinkState::Up) => write!(f, "{nic} is up"),
            Self::Link(nic, LinkState::NoCarrier) => write!(f, "{nic} has no carrier"),
            Self::Link(nic, LinkState::Down) => write!(f, "{nic} is down"),
            Self::Link(nic, LinkState::Gone) => write!(
                f,
                "{nic} does not exist any more: one that comes in its place is served after a \
                 new start only"
            ),
            Self::Reachable(address) => write!(f, "real server {address} reachable"),
            Self::Unreachable(address, why) => {
                write!(f, "real server {address} not reachable: {why}")
            }
            Self::More(count) => write!(f, "and {count} more real servers changed"),
        }
    }
}

impl Witness {
    /// Begins to tell what differs from `seen`.
    pub(super) fn begin(&mut self, seen: Seen) {
        self.told = Some(seen);
    }

    /// Whether there is nothing to tell of these NICs and of a snapshot.
    ///
    /// *Cost:* none to speak of, where many real servers would have to be looked at.
    pub(super) fn knows(&self, links: &Links, generation: u64) -> bool {
        let told = self.told.as_ref();
        told.is_none_or(|told| told.generation == generation && told.links == *links)
    }

    /// What is other than was told last.
    pub(super) fn news(&mut self, seen: Seen, now: Clock) -> Vec<News> {
        let Some(told) = &self.told else {
            return Vec::new();
        };
        if self.silent_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let mut news = links(told, &seen);
        let of_real_servers = real_servers(told, &seen);
        let more = of_real_servers.len().saturating_sub(MOST_REAL_SERVERS);
        news.extend(of_real_servers.into_iter().take(MOST_REAL_SERVERS));
        if more > 0 {
            news.push(News::More(more));
        }
        if !news.is_empty() {
            self.silent_until = Some(now + PAUSE);
        }
        self.told = Some(seen);
        news
    }
}

fn links(told: &Seen, seen: &Seen) -> Vec<News> {
    let changed = told.links.iter().zip(&seen.links);
    changed
        .filter(|((_, before), (_, now))| before != now)
        .map(|(_, (name, now))| News::Link(name.clone(), *now))
        .collect()
}

fn real_servers(told: &Seen, seen: &Seen) -> Vec<News> {
    let worse = seen
        .unreachable
        .iter()
        .filter(|(address, why)| told.unreachable.get(*address) != Some(*why))
        .map(|(address, why)| News::Unreachable(*address, why));
    let better = told
        .unreachable
        .keys()
        .filter(|address| !seen.unreachable.contains_key(*address))
        .filter(|address| seen.real_servers.binary_search(address).is_ok())
        .map(|address| News::Reachable(*address));
    worse.chain(better).collect()
}

/// After something was told.
const PAUSE: Duration = Duration::from_secs(1);
/// Real servers that are told one by one: of more than these it is rather a
/// link or a route that has changed.
const MOST_REAL_SERVERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(link: LinkState, unreachable: &[u8]) -> Seen {
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        Seen {
            links: vec![("eth0".to_owned(), link)],
            generation: 1,
            real_servers: (0..100).map(address).collect(),
            unreachable: unreachable
                .iter()
                .map(|last| (address(*last), "because"))
                .collect(),
        }
    }

    fn witness() -> Witness {
        let mut witness = Witness::default();
        witness.begin(seen(LinkState::Up, &[1]));
        witness
    }

    #[test]
    fn each_change_is_told_once() {
        let (mut witness, now) = (witness(), Clock::now());
        assert_eq!(witness.news(seen(LinkState::Up, &[1]), now), []);
        let changed = seen(LinkState::Gone, &[2]);
        let news = witness.news(changed.clone(), now);
        assert_eq!(
            news,
            [
                News::Link("eth0".to_owned(), LinkState::Gone),
                News::Unreachable([10, 0, 0, 2].into(), "because"),
                News::Reachable([10, 0, 0, 1].into()),
            ]
        );
        let said = news[1].to_string();
        assert_eq!(said, "real server 10.0.0.2 not reachable: because");
        assert_eq!(witness.news(changed, now + PAUSE), []);
    }

    #[test]
    fn what_changes_all_the_time_is_told_once_a_second() {
        let (mut witness, now) = (witness(), Clock::now());
        let told = (0..1000u32)
            .filter(|step| {
                let link = [LinkState::Up, LinkState::Down][*step as usize % 2];
                let now = now + Duration::from_millis(3) * *step;
                !witness.news(seen(link, &[1]), now).is_empty()
            })
            .count();
        assert_eq!(told, 3);
    }

    #[test]
    fn many_are_counted() {
        let many: Vec<u8> = (0..50).collect();
        let news = witness().news(seen(LinkState::Up, &many), Clock::now());
        assert_eq!(news.len(), MOST_REAL_SERVERS + 1);
        assert_eq!(news.last(), Some(&News::More(33)));
    }

    #[test]
    fn a_real_server_that_was_removed_is_no_news() {
        let mut without = seen(LinkState::Up, &[]);
        without.real_servers.clear();
        assert_eq!(witness().news(without, Clock::now()), []);
    }

    #[test]
    fn before_it_begins_it_tells_nothing() {
        let mut witness = Witness::default();
        assert_eq!(witness.news(seen(LinkState::Gone, &[1]), Clock::now()), []);
    }
}
