//! `[control]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::fields::{Fields, Reading};
use crate::api::DEFAULT_SOCKET;

/// Where a running director is controlled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// The Unix socket; `None` for none.
    pub socket: Option<PathBuf>,
    /// Who may connect to it: permissions, as `chmod` takes them.
    pub mode: u32,
    /// An address to be controlled at besides, by whoever can reach it.
    pub tcp: Option<SocketAddr>,
}

impl Default for ControlSettings {
    /// The [default socket](DEFAULT_SOCKET), for the process' own user.
    fn default() -> Self {
        Self {
            socket: Some(DEFAULT_SOCKET.into()),
            mode: 0o600,
            tcp: None,
        }
    }
}

/// Reads `[control]`; what is not given keeps its default.
pub(super) fn control<'t>(file: &Fields<'t>, reading: &mut Reading<'t>) -> ControlSettings {
    let mut control = ControlSettings::default();
    let Some(fields) = file.table("control", &["socket", "mode", "tcp"], reading) else {
        return control;
    };
    if let Some(given) = fields.string("socket", reading) {
        control.socket = (!given.value.is_empty()).then(|| given.value.into());
        if !given.value.is_empty() && !given.value.starts_with('/') {
            let what = format!("socket is {:?}, but must be a whole path", given.value);
            let help = format!("write it as in socket = {DEFAULT_SOCKET:?}, or \"\" for none");
            reading.fault(given.span, fields.place("socket"), what, help);
        }
    }
    if let Some(given) = fields.string("mode", reading) {
        match mode(given.value) {
            Some(mode) => control.mode = mode,
            None => {
                let what = format!("mode is {:?}, but must be permissions", given.value);
                let help = "write it as chmod takes it, as in mode = \"0660\"";
                reading.fault(given.span, fields.place("mode"), what, help);
            }
        }
    }
    if let Some(given) = fields.string("tcp", reading) {
        control.tcp = given.value.parse().ok();
        if control.tcp.is_none() {
            let what = format!(
                "tcp is {:?}, but must be an IP address, a colon and a port",
                given.value
            );
            let help = "write it as in tcp = \"127.0.0.1:9109\"; whoever reaches it, controls";
            reading.fault(given.span, fields.place("tcp"), what, help);
        }
    }
    control
}

/// Permissions in octal.
fn mode(text: &str) -> Option<u32> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| *mode <= 0o777)
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn read(control: &str) -> Result<ControlSettings, String> {
        let text = format!("director.interfaces = ['e']\n[control]\n{control}\n");
        match Settings::parse("f", &text) {
            Ok(settings) => Ok(settings.control),
            Err(faults) => Err(faults.faults()[0].what.clone()),
        }
    }

    #[test]
    fn what_is_not_given_keeps_its_default() {
        assert_eq!(read(""), Ok(ControlSettings::default()));
        let given = read("socket = '/tmp/s'\nmode = '0660'\ntcp = '[::1]:9109'").unwrap();
        assert_eq!(given.socket, Some("/tmp/s".into()));
        assert_eq!(given.mode, 0o660);
        assert_eq!(given.tcp, Some("[::1]:9109".parse().unwrap()));
        assert_eq!(read("socket = ''").unwrap().socket, None);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (field, said) in [
            ("socket = 'lvs.sock'", "a whole path"),
            ("mode = '0888'", "permissions"),
            ("mode = '1777'", "permissions"),
            ("tcp = '9109'", "a port"),
        ] {
            let why = read(field).unwrap_err();
            assert!(why.contains(said), "{field}: {why}");
        }
    }
}
