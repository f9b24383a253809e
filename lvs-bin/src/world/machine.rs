//! [`RealServerMachine`]: one real server, with all that runs on it.

use std::io;
use std::net::IpAddr;

use super::Namespace;
use super::address::{DIRECTOR, FIRST_REAL_SERVER, Family, OUTSIDE, Port};
use super::plan::{Method, Plan};
use super::traffic::{Offer, Server};
use super::unpack::Unpacker;
use super::wiring::{Switch, give_address, give_gateway, give_vip};

/// A real server of a world: its namespace, and the programs in it.
#[derive(Debug)]
pub struct RealServerMachine {
    namespace: Namespace,
    plan: Plan,
    index: u8,
    // Dropped before the namespace's descriptor, in this order.
    server: Option<Server>,
    _unpacker: Option<Unpacker>,
}

impl RealServerMachine {
    /// Builds real server `index`, from 0, connects it and starts its programs.
    pub(super) fn build(plan: Plan, index: u8, switch: &mut Switch) -> io::Result<Self> {
        let namespace = Namespace::new(format!("rs{}", index + 1))?;
        let lan = plan.server_lan();
        switch.plug(lan.bridge(), &namespace, LINK)?;
        let mut network = namespace.network()?;
        give_address(&mut network, LINK, lan, FIRST_REAL_SERVER + index)?;
        if plan.method == Method::Masquerade {
            give_gateway(&mut network, lan, DIRECTOR)?;
        } else {
            if plan.quiet {
                // Neither answer for the VIP nor ask in its name.
                namespace.set("ipv4/conf/all/arp_ignore", "1")?;
                namespace.set("ipv4/conf/all/arp_announce", "2")?;
            }
            give_vip(&mut network, "lo")?;
            give_gateway(&mut network, lan, OUTSIDE)?;
        }
        let unpacker = match plan.method {
            Method::Tunnel => Some(Unpacker::start(&namespace)?),
            Method::Masquerade | Method::DirectRoute => None,
        };
        let mut machine = Self {
            namespace,
            plan,
            index,
            server: None,
            _unpacker: unpacker,
        };
        machine.start()?;
        Ok(machine)
    }

    /// What its programs call it: `rs1`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Its address (RIP).
    #[must_use]
    pub fn rip(&self, family: Family) -> IpAddr {
        self.plan.rip(self.index, family)
    }

    /// Its namespace; its link is called `lan0`.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Ends its programs: connections are cut, and new ones refused.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts its programs, if they do not run.
    ///
    /// Errors: an address they listen at cannot be bound.
    pub fn start(&mut self) -> io::Result<()> {
        if self.server.is_none() {
            let mut offers = Vec::new();
            for family in Family::BOTH {
                let at = |port| self.plan.listens(self.index, family, port);
                offers.extend([
                    Offer::Http(at(Port::Web)),
                    Offer::TcpEcho(at(Port::Echo)),
                    Offer::UdpEcho(at(Port::Echo)),
                ]);
            }
            self.server = Some(Server::start(&self.namespace, self.name(), &offers)?);
        }
        Ok(())
    }
}

/// What a real server calls its link.
const LINK: &str = "lan0";
