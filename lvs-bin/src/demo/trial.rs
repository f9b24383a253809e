//! [`Trial`]: real traffic through a world, counted and checked.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::world::traffic::{Request, http, http_many, udp_many};
use crate::world::{Family, Plan, World};

/// What became of the traffic of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The family.
    pub family: Family,
    /// HTTP requests, each over a connection of its own, all open at once.
    pub http: Tally,
    /// UDP datagrams echoed, each from a port of its own.
    pub udp: Tally,
    /// A body of [`Trial::BODY`] bytes from a real server, compared byte by byte.
    pub download: Tally,
    /// The same to a real server.
    pub upload: Tally,
}

/// Exchanges of one kind: who answered, and what failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Exchanges by the name of the real server that answered.
    pub answered: BTreeMap<String, usize>,
    /// What became of the others.
    pub failed: Vec<String>,
}

impl Trial {
    /// HTTP requests and UDP datagrams of a trial.
    pub const EXCHANGES: usize = 60;
    /// Bytes of a large body.
    pub const BODY: u64 = 10 << 20;

    /// Sends traffic from the world's client to the VIP.
    ///
    /// Errors: the client's namespace cannot be entered; what fails on the way
    /// is in the tallies.
    pub fn run(world: &World, family: Family) -> io::Result<Self> {
        let (web, echo) = (Plan::web(family), Plan::echo(family));
        world.client().run(|| {
            Ok(Self {
                family,
                http: Tally::of(http_many(web, Request::Name, Self::EXCHANGES, DEADLINE)),
                udp: Tally::of(udp_many(echo, DATAGRAM, Self::EXCHANGES, ECHO_DEADLINE)),
                download: Tally::of([http(web, Request::Download(Self::BODY), DEADLINE)]),
                upload: Tally::of([http(web, Request::Upload(Self::BODY), DEADLINE)]),
            })
        })
    }

    /// Whether everything arrived, and every real server had a share.
    #[must_use]
    pub fn passed(&self, real_servers: usize) -> bool {
        let whole = [&self.http, &self.udp, &self.download, &self.upload];
        let shared = [&self.http, &self.udp];
        whole.iter().all(|tally| tally.failed.is_empty())
            && shared
                .iter()
                .all(|tally| tally.answered.len() == real_servers)
    }
}

impl Tally {
    fn of(results: impl IntoIterator<Item = io::Result<String>>) -> Self {
        let mut tally = Self::default();
        for result in results {
            match result {
                Ok(name) => *tally.answered.entry(name).or_default() += 1,
                Err(error) => tally.failed.push(error.to_string()),
            }
        }
        tally
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = Self::BODY >> 20;
        let family = self.family;
        writeln!(f, "  {family}  HTTP requests     {}", self.http)?;
        writeln!(f, "        {size} MiB download   {}", self.download)?;
        writeln!(f, "        {size} MiB upload     {}", self.upload)?;
        writeln!(f, "        UDP echoes        {}", self.udp)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered: usize = self.answered.values().sum();
        let all = answered + self.failed.len();
        write!(f, "{answered:>3} of {all:<3}")?;
        for (name, count) in &self.answered {
            write!(f, "  {name} {count}")?;
        }
        if let Some(first) = self.failed.first() {
            write!(f, "  FAILED: {first}")?;
        }
        Ok(())
    }
}

/// Bytes of a datagram: with headers and a tunnel's, within any MTU.
const DATAGRAM: usize = 1_000;
/// For each step of a trial; turns a hang into a failure.
const DEADLINE: Duration = Duration::from_secs(15);
/// For an echo: there is nothing that would send it again.
const ECHO_DEADLINE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(answered: &[(&str, usize)], failed: &[&str]) -> Tally {
        Tally {
            answered: answered
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
            failed: failed.iter().map(|error| (*error).to_owned()).collect(),
        }
    }

    fn trial() -> Trial {
        Trial {
            family: Family::V4,
            http: tally(&[("rs1", 30), ("rs2", 30)], &[]),
            udp: tally(&[("rs1", 29), ("rs2", 31)], &[]),
            download: tally(&[("rs1", 1)], &[]),
            upload: tally(&[("rs2", 1)], &[]),
        }
    }

    #[test]
    fn a_trial_reads_as_a_table() {
        assert_eq!(
            trial().to_string(),
            "  IPv4  HTTP requests      60 of 60   rs1 30  rs2 30
        10 MiB download     1 of 1    rs1 1
        10 MiB upload       1 of 1    rs2 1
        UDP echoes         60 of 60   rs1 29  rs2 31
"
        );
        let failed = tally(&[("rs1", 1)], &["not done within 15s"]);
        assert_eq!(
            failed.to_string(),
            "  1 of 2    rs1 1  FAILED: not done within 15s"
        );
    }

    #[test]
    fn one_failure_or_one_idle_real_server_fails_a_trial() {
        assert!(trial().passed(2));
        assert!(!trial().passed(3));
        let mut lossy = trial();
        lossy.upload = tally(&[], &["lost"]);
        assert!(!lossy.passed(2));
        let mut lopsided = trial();
        lopsided.udp = tally(&[("rs1", 60)], &[]);
        assert!(!lopsided.passed(2));
    }
}
