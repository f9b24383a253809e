//! `lvs adm`, and the binary by the name of `ipvsadm`: the tool's command line,
//! carried out on the running director.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;

use lvs_core::Protocol;

use crate::api::{Client, ClientError};
use crate::ipvsadm::{self, NameFiles, Names, Output};

/// Carries out a command line, without the program's name, on the director that
/// listens at `socket`; prints what the tool prints and gives back its exit
/// status.
///
/// # Errors
///
/// The director cannot be asked. Operations before it broke off may have been
/// carried out.
pub fn adm(socket: &Path, words: &[String]) -> Result<u8, ClientError> {
    let names = SystemNames::new();
    if let Some(output) = ipvsadm::told(words, &names) {
        print(&output);
        return Ok(output.status);
    }
    let mut client = Client::connect(socket)?;
    let mut stdin = io::stdin().lock();
    let output = ipvsadm::main_with(words, &mut stdin, &mut client, &names);
    match client.failure() {
        Some(error) => Err(error),
        None => {
            print(&output);
            Ok(output.status)
        }
    }
}

/// Prints; where nobody reads it any more, nothing.
fn print(output: &Output) {
    let _ = io::stdout().lock().write_all(output.stdout.as_bytes());
    let _ = io::stderr().lock().write_all(output.stderr.as_bytes());
}

/// The names that this machine knows: ports by `/etc/services`, hosts by
/// whatever it asks for them.
#[derive(Debug)]
struct SystemNames {
    files: NameFiles,
}

impl SystemNames {
    fn new() -> Self {
        // Without the file no port has a name.
        let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
        Self {
            files: NameFiles::new("", &services),
        }
    }
}

impl Names for SystemNames {
    fn address(&self, host: &str) -> Option<Ipv4Addr> {
        let mut all = (host, 0).to_socket_addrs().ok()?;
        all.find_map(|address| match address {
            SocketAddr::V4(v4) => Some(*v4.ip()),
            SocketAddr::V6(_) => None,
        })
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        let name = dns_lookup::lookup_addr(&address).ok()?;
        // Where there is none, the address comes back as a text.
        name.parse::<IpAddr>().is_err().then_some(name)
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        self.files.port(service, protocol)
    }

    fn service(&self, port: u16, protocol: Protocol) -> Option<String> {
        self.files.service(port, protocol)
    }
}
