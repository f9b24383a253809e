//! The grammar of a command line: which words are options, and what is an
//! option's argument.
//!
//! The reading is popt's, whose habits scripts have come to rely on: options
//! may be bundled (`-Ln`), an argument may follow at once (`-t10.0.0.1:80`),
//! after an equals sign (`-t=…`, `--tcp-service=…`) or as the next word, which
//! may begin with a dash unless the argument is optional; long options cannot
//! be shortened; what is neither is kept apart; `--` ends the options.

use super::options::Opt;

/// Whether an option has an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    None,
    Required,
    Optional,
}

/// What popt finds wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misread {
    /// The word that was read last, whole.
    pub(super) word: String,
    /// What is wrong, in popt's words.
    pub(super) why: &'static str,
}

/// Reads the options of a command line one by one.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    words: &'a [String],
    next: usize,
    /// What is left of a word of bundled short options.
    bundle: &'a str,
    /// Words that are no options and no arguments, in order.
    apart: Vec<&'a str>,
    /// After `--`.
    only_apart: bool,
}

impl<'a> Reader<'a> {
    /// Reads `words`, the name of the program not among them.
    pub(super) const fn new(words: &'a [String]) -> Self {
        Self {
            words,
            next: 0,
            bundle: "",
            apart: Vec::new(),
            only_apart: false,
        }
    }

    /// The next option with its argument; `None` after the last.
    ///
    /// *Errors:* an unknown option, an argument too many or missing.
    pub(super) fn next_option(&mut self) -> Result<Option<(Opt, Option<&'a str>)>, Misread> {
        let mut attached = None;
        let (option, argument) = loop {
            if !self.bundle.is_empty() {
                break self.short()?;
            }
            let Some(word) = self.words.get(self.next) else {
                return Ok(None);
            };
            self.next += 1;
            if self.only_apart || !word.starts_with('-') || word == "-" {
                self.apart.push(word);
            } else if word == "--" {
                self.only_apart = true;
            } else if let Some(long) = word.strip_prefix("--") {
                let (name, given) = match long.split_once('=') {
                    Some((name, given)) => (name, Some(given)),
                    None => (long, None),
                };
                attached = given;
                let row = OPTIONS.iter().find(|row| row.1 == name);
                let row = row.ok_or_else(|| self.misread("unknown option"))?;
                break (row.3, row.2);
            } else {
                self.bundle = &word[1..];
            }
        };
        let given = match argument {
            Argument::None if attached.is_some() || self.bundle.starts_with('=') => {
                return Err(self.misread("option does not take an argument"));
            }
            Argument::None => None,
            _ if attached.is_some() => attached,
            _ if !self.bundle.is_empty() => {
                let rest = std::mem::take(&mut self.bundle);
                Some(rest.strip_prefix('=').unwrap_or(rest))
            }
            _ => self.following(argument)?,
        };
        Ok(Some((option, given)))
    }

    /// The next of the words that are no options.
    pub(super) fn next_apart(&mut self) -> Option<&'a str> {
        if self.apart.is_empty() {
            return None;
        }
        Some(self.apart.remove(0))
    }

    /// The word that was read last.
    pub(super) fn word(&self) -> &'a str {
        let last = self.next.checked_sub(1);
        last.and_then(|last| self.words.get(last))
            .map_or("", String::as_str)
    }

    /// Takes one option of a bundle.
    fn short(&mut self) -> Result<(Opt, Argument), Misread> {
        let mut letters = self.bundle.chars();
        let letter = letters.next();
        let row = OPTIONS.iter().find(|row| row.0 == letter);
        let Some(row) = row else {
            self.bundle = "";
            return Err(self.misread("unknown option"));
        };
        self.bundle = letters.as_str();
        Ok((row.3, row.2))
    }

    /// The next word as an argument.
    fn following(&mut self, argument: Argument) -> Result<Option<&'a str>, Misread> {
        match self.words.get(self.next) {
            None if argument == Argument::Required => Err(self.misread("missing argument")),
            None => Ok(None),
            Some(word) if argument == Argument::Optional && word.starts_with('-') => Ok(None),
            Some(word) => {
                self.next += 1;
                Ok(Some(word))
            }
        }
    }

    fn misread(&self, why: &'static str) -> Misread {
        Misread {
            word: self.word().to_owned(),
            why,
        }
    }
}

use Argument::{None as Bare, Optional, Required};

/// Every option: its letter, its name, whether it has an argument.
const OPTIONS: &[(Option<char>, &str, Argument, Opt)] = &[
    (Some('A'), "add-service", Bare, Opt::AddService),
    (Some('E'), "edit-service", Bare, Opt::EditService),
    (Some('D'), "delete-service", Bare, Opt::DeleteService),
    (Some('C'), "clear", Bare, Opt::Clear),
    (Some('L'), "list", Bare, Opt::List),
    (Some('l'), "list", Bare, Opt::List),
    (Some('Z'), "zero", Bare, Opt::Zero),
    (Some('a'), "add-server", Bare, Opt::AddServer),
    (Some('e'), "edit-server", Bare, Opt::EditServer),
    (Some('d'), "delete-server", Bare, Opt::DeleteServer),
    (None, "set", Bare, Opt::Set),
    (Some('R'), "restore", Bare, Opt::Restore),
    (Some('S'), "save", Bare, Opt::Save),
    (None, "start-daemon", Required, Opt::StartDaemon),
    (None, "stop-daemon", Required, Opt::StopDaemon),
    (Some('h'), "help", Bare, Opt::Help),
    (Some('v'), "version", Bare, Opt::Version),
    (Some('t'), "tcp-service", Required, Opt::TcpService),
    (Some('u'), "udp-service", Required, Opt::UdpService),
    (None, "sctp-service", Required, Opt::SctpService),
    (Some('f'), "fwmark-service", Required, Opt::FwmarkService),
    (Some('6'), "ipv6", Bare, Opt::Ipv6),
    (Some('s'), "scheduler", Required, Opt::Scheduler),
    (Some('p'), "persistent", Optional, Opt::Persistent),
    (Some('M'), "netmask", Required, Opt::Netmask),
    (None, "pe", Required, Opt::Engine),
    (Some('o'), "ops", Bare, Opt::OnePacket),
    (Some('b'), "sched-flags", Required, Opt::SchedulerFlags),
    (Some('r'), "real-server", Required, Opt::RealServer),
    (Some('g'), "gatewaying", Bare, Opt::Gatewaying),
    (Some('i'), "ipip", Bare, Opt::Ipip),
    (Some('m'), "masquerading", Bare, Opt::Masquerading),
    (Some('w'), "weight", Required, Opt::Weight),
    (Some('x'), "u-threshold", Required, Opt::UpperThreshold),
    (Some('y'), "l-threshold", Required, Opt::LowerThreshold),
    (None, "tun-type", Required, Opt::TunnelType),
    (None, "tun-port", Required, Opt::TunnelPort),
    (None, "tun-nocsum", Bare, Opt::TunnelNoChecksum),
    (None, "tun-csum", Bare, Opt::TunnelChecksum),
    (None, "tun-remcsum", Bare, Opt::TunnelRemoteChecksum),
    (Some('n'), "numeric", Bare, Opt::Numeric),
    (Some('c'), "connection", Bare, Opt::Connection),
    (None, "timeout", Bare, Opt::Timeout),
    (None, "daemon", Bare, Opt::Daemon),
    (None, "stats", Bare, Opt::Stats),
    (None, "rate", Bare, Opt::Rate),
    (None, "thresholds", Bare, Opt::Thresholds),
    (None, "persistent-conn", Bare, Opt::PersistentConnections),
    (None, "tun-info", Bare, Opt::TunnelInfo),
    (None, "sort", Bare, Opt::Sort),
    (None, "nosort", Bare, Opt::NoSort),
    (Some('X'), "exact", Bare, Opt::Exact),
    (None, "syncid", Required, Opt::SyncId),
    (None, "sync-maxlen", Required, Opt::SyncMaxLength),
    (None, "mcast-interface", Required, Opt::MulticastInterface),
    (None, "mcast-group", Required, Opt::MulticastGroup),
    (None, "mcast-port", Required, Opt::MulticastPort),
    (None, "mcast-ttl", Required, Opt::MulticastTtl),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a line.
    struct Read {
        options: Vec<(Opt, Option<String>)>,
        wrong: Option<Misread>,
        apart: Vec<String>,
    }

    fn read(line: &str) -> Read {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut reader = Reader::new(&words);
        let mut options = Vec::new();
        let wrong = loop {
            match reader.next_option() {
                Ok(Some((option, given))) => options.push((option, given.map(str::to_owned))),
                Ok(None) => break None,
                Err(misread) => break Some(misread),
            }
        };
        let apart = std::iter::from_fn(|| reader.next_apart().map(str::to_owned));
        Read {
            options,
            wrong,
            apart: apart.collect(),
        }
    }

    #[test]
    fn an_argument_may_be_given_in_four_ways() {
        for line in ["-t x", "-tx", "-t=x", "--tcp-service=x", "--tcp-service x"] {
            assert_eq!(
                read(line).options,
                [(Opt::TcpService, Some("x".into()))],
                "{line}"
            );
        }
        let bundled = [
            (Opt::List, None),
            (Opt::Numeric, None),
            (Opt::TcpService, Some("x".into())),
        ];
        assert_eq!(read("-Lntx").options, bundled);
    }

    #[test]
    fn only_an_optional_argument_may_not_begin_with_a_dash() {
        assert_eq!(read("-w -1").options, [(Opt::Weight, Some("-1".into()))]);
        let Read { options, wrong, .. } = read("-p -1");
        assert_eq!(options, [(Opt::Persistent, None)]);
        assert_eq!(wrong.unwrap().word, "-1");
        assert_eq!(read("-p 5").options, [(Opt::Persistent, Some("5".into()))]);
    }

    #[test]
    fn what_is_wrong_is_told_with_the_whole_word() {
        let wrong = |line| {
            let Misread { word, why } = read(line).wrong.unwrap();
            format!("{word}: {why}")
        };
        assert_eq!(wrong("-nQ"), "-nQ: unknown option");
        assert_eq!(wrong("--tcp-serv x"), "--tcp-serv: unknown option");
        assert_eq!(wrong("-A -t"), "-t: missing argument");
        assert_eq!(
            wrong("--ops=1"),
            "--ops=1: option does not take an argument"
        );
        assert_eq!(wrong("-o=1"), "-o=1: option does not take an argument");
    }

    #[test]
    fn other_words_are_kept_apart() {
        let Read {
            options,
            wrong,
            apart,
        } = read("a -n - -- -n");
        assert_eq!(options, [(Opt::Numeric, None)]);
        assert_eq!(
            (wrong, apart),
            (None, vec!["a".into(), "-".into(), "-n".into()])
        );
    }
}
