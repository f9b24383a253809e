//! What changes around a running director, told once a change: [`Witness`].
//!
//! It only compares: the follower's thread shows it what is so, and logs what
//! it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant as Clock};

use lvs_io::netlink::Link;

/// What is so around a director.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its NICs by name, in their order.
    pub(super) links: Vec<(String, LinkState)>,
    /// All real servers.
    pub(super) real_servers: BTreeSet<IpAddr>,
    /// Those that cannot be sent to, and why.
    pub(super) unreachable: BTreeMap<IpAddr, &'static str>,
}

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
    /// For the better.
    Good(String),
    /// For the worse.
    Bad(String),
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
            Self::Good(what) => tracing::info!("{what}"),
            Self::Bad(what) => tracing::warn!("{what}"),
        }
    }
}

impl Witness {
    /// Begins to tell what differs from `seen`.
    pub(super) fn begin(&mut self, seen: Seen) {
        self.told = Some(seen);
    }

    /// What is other than was told last.
    pub(super) fn news(&mut self, seen: Seen, now: Clock) -> Vec<News> {
        let Some(told) = &self.told else {
            return Vec::new();
        };
        if *told == seen || self.silent_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let mut news = links(told, &seen);
        let of_real_servers = real_servers(told, &seen);
        let more = of_real_servers.len().saturating_sub(MOST_REAL_SERVERS);
        news.extend(of_real_servers.into_iter().take(MOST_REAL_SERVERS));
        if more > 0 {
            news.push(News::Bad(format!("and {more} more real servers changed")));
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
        .map(|(_, (name, now))| match now {
            LinkState::Up => News::Good(format!("{name} is up")),
            LinkState::NoCarrier => News::Bad(format!("{name} has no carrier")),
            LinkState::Down => News::Bad(format!("{name} is down")),
            LinkState::Gone => News::Bad(format!(
                "{name} does not exist any more: one that comes in its place is served after a \
                 new start only"
            )),
        })
        .collect()
}

fn real_servers(told: &Seen, seen: &Seen) -> Vec<News> {
    let worse = seen
        .unreachable
        .iter()
        .filter(|(address, why)| told.unreachable.get(*address) != Some(*why))
        .map(|(address, why)| News::Bad(format!("real server {address} not reachable: {why}")));
    let better = told
        .unreachable
        .keys()
        .filter(|address| !seen.unreachable.contains_key(*address))
        .filter(|address| seen.real_servers.contains(*address))
        .map(|address| News::Good(format!("real server {address} reachable")));
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
        assert!(matches!(&news[0], News::Bad(what) if what.starts_with("eth0 does not exist")));
        assert_eq!(
            news[1..],
            [
                News::Bad("real server 10.0.0.2 not reachable: because".to_owned()),
                News::Good("real server 10.0.0.1 reachable".to_owned()),
            ]
        );
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
        assert_eq!(
            news.last(),
            Some(&News::Bad("and 33 more real servers changed".to_owned()))
        );
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
