//! `[metrics]`.

use std::net::SocketAddr;

use super::fields::{Fields, Reading};

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// The address to be scraped at, by whoever can reach it.
    pub listen: SocketAddr,
}

/// Reads `[metrics]`; `None` if there is none, or with a fault noted.
pub(super) fn metrics<'t>(file: &Fields<'t>, reading: &mut Reading<'t>) -> Option<MetricsSettings> {
    let fields = file.table("metrics", &["listen"], reading)?;
    let help = "write it as in listen = \"127.0.0.1:9108\"; whoever reaches it, reads";
    fields.require("listen", help, reading);
    let given = fields.string("listen", reading)?;
    let listen = given.value.parse().ok();
    if listen.is_none() {
        let what = format!(
            "listen is {:?}, but must be an IP address, a colon and a port",
            given.value
        );
        reading.fault(given.span, fields.place("listen"), what, help);
    }
    Some(MetricsSettings { listen: listen? })
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn read(metrics: &str) -> Result<Option<MetricsSettings>, String> {
        let text = format!("director.interfaces = ['e']\n{metrics}\n");
        match Settings::parse("f", &text) {
            Ok(settings) => Ok(settings.metrics),
            Err(faults) => Err(faults.faults()[0].what.clone()),
        }
    }

    #[test]
    fn they_are_served_only_where_the_file_says() {
        assert_eq!(read(""), Ok(None));
        let listen = "[::1]:9108".parse().unwrap();
        assert_eq!(
            read("[metrics]\nlisten = '[::1]:9108'"),
            Ok(Some(MetricsSettings { listen }))
        );
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (section, said) in [
            ("[metrics]", "listen is missing"),
            ("[metrics]\nlisten = ''", "a colon and a port"),
            ("[metrics]\nlisten = '9108'", "a colon and a port"),
            ("[metrics]\nlisten = 'localhost:9108'", "an IP address"),
            ("[metrics]\nlisten = 9108", "must be a text"),
            ("[metrics]\nlisten = '[::]:9108'\nport = 9", "port"),
        ] {
            let why = read(section).unwrap_err();
            assert!(why.contains(said), "{section}: {why}");
        }
    }
}
