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
    /// Bytes of a large body.
    pub const BODY: u64 = 10 << 20;

    /// HTTP requests, and UDP datagrams, of a trial with so many real servers:
    /// three for each, so that each must have a share, and not too few to show.
    #[must_use]
    pub fn exchanges(real_servers: u8) -> usize {
        (3 * usize::from(real_servers)).max(60)
    }

    /// Sends traffic from the world's client to the VIP.
    ///
    /// Errors: the client's namespace cannot be entered; what fails on the way
    /// is in the tallies.
    pub fn run(world: &World, family: Family) -> io::Result<Self> {
        let (web, echo) = (Plan::web(family), Plan::echo(family));
        let count = Self::exchanges(world.plan().real_servers);
        world.client().run(|| {
            Ok(Self {
                family,
                http: Tally::of(http_many(web, Request::Name, count, DEADLINE)),
                udp: Tally::of(udp_many(echo, DATAGRAM, count, ECHO_DEADLINE)),
                download: Tally::of([http(web, Request::Download(Self::BODY), DEADLINE)]),
                upload: Tally::of([http(web, Request::Upload(Self::BODY), DEADLINE)]),
            })
        })
    }

    /// What of it is not as it must be, a sentence each: everything arrives, and
    /// every real server has a share.
    #[must_use]
    pub fn failures(&self, real_servers: u8) -> Vec<String> {
        let family = self.family;
        let wanted = usize::from(real_servers);
        let mut failures = Vec::new();
        for (name, tally, is_shared) in [
            ("HTTP requests", &self.http, true),
            ("UDP echoes", &self.udp, true),
            ("the download", &self.download, false),
            ("the upload", &self.upload, false),
        ] {
            if !tally.failed.is_empty() {
                let (lost, all) = (tally.failed.len(), tally.all());
                failures.push(format!("{family}: {lost} of {all} of {name} failed"));
            }
            let answered = tally.answered.len();
            if is_shared && answered != wanted {
                let who = format!("{answered} of {wanted} real servers");
                failures.push(format!("{family}: only {who} had a share of the {name}"));
            }
        }
        failures
    }
}

impl Tally {
    fn all(&self) -> usize {
        self.answered.values().sum::<usize>() + self.failed.len()
    }

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
        let all = self.all();
        let answered = all - self.failed.len();
        write!(f, "{answered:>3} of {all:<3}")?;
        let mut shares: Vec<_> = self.answered.iter().collect();
        // rs2 before rs10.
        shares.sort_by_key(|(name, _)| (name.len(), *name));
        for (name, count) in shares {
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
        assert!(trial().failures(2).is_empty());
        assert_eq!(trial().failures(3).len(), 2);
        let mut lossy = trial();
        lossy.upload = tally(&[], &["lost"]);
        assert_eq!(lossy.failures(2), ["IPv4: 1 of 1 of the upload failed"]);
        let mut lopsided = trial();
        lopsided.udp = tally(&[("rs1", 60)], &[]);
        assert_eq!(
            lopsided.failures(2),
            ["IPv4: only 1 of 2 real servers had a share of the UDP echoes"]
        );
    }

    #[test]
    fn every_real_server_can_have_a_share() {
        assert_eq!(Trial::exchanges(3), 60);
        assert_eq!(Trial::exchanges(80), 240);
    }

    #[test]
    fn real_servers_are_shown_in_the_order_of_their_numbers() {
        let tally = tally(&[("rs1", 1), ("rs10", 2), ("rs2", 3)], &[]);
        assert_eq!(tally.to_string(), "  6 of 6    rs1 1  rs2 3  rs10 2");
    }
}
