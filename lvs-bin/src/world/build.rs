//! [`World`]: a client, a director's place and real servers, connected.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::Namespace;
use super::address::{DIRECTOR, FAR_CLIENT, Lan, OUTSIDE};
use super::machine::RealServerMachine;
use super::plan::{Layout, Method, Plan};
use super::wiring::{Cable, Switch, give_address, give_gateway, give_vip, prefer_source};

/// A network of namespaces as its [`Plan`] says, up and serving; only the
/// director is missing.
///
/// ```text
///  one-armed:  client ── router ──┐
///                      director ──┼── front
///                  real servers ──┘
///
///  two-armed:  client ── router ── front ── director ── back ── real servers
///                          └──────────────────────────────┘
///                              (not when masquerading)
/// ```
///
/// Everything ends when it is dropped, in whatever state it is; if the process
/// dies first, with the process.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    real_servers: Vec<RealServerMachine>,
    client: Namespace,
    router: Option<Namespace>,
    director: Namespace,
    _switch: Switch,
}

impl World {
    /// Builds what `plan` says.
    ///
    /// The process may then have as many files open as the machine allows it:
    /// both ends of every connection are in it.
    ///
    /// Errors: a plan that cannot work is `InvalidInput`. Building needs
    /// CAP_SYS_ADMIN and CAP_NET_ADMIN, and CAP_NET_RAW for tunnels.
    pub fn build(plan: Plan) -> io::Result<Self> {
        plan.check()?;
        allow_open_files()?;
        let cable = Cable {
            queues: plan.queues,
            mtu: plan.mtu,
        };
        let mut switch = Switch::new(cable)?;
        switch.add_bridge(Lan::Front.bridge())?;
        if plan.layout == Layout::TwoArmed {
            switch.add_bridge(Lan::Back.bridge())?;
        }
        let client = Namespace::new("client")?;
        let router = match plan.router {
            true => Some(build_router(&client, cable)?),
            false => None,
        };
        connect_outside(&plan, router.as_ref().unwrap_or(&client), &mut switch)?;
        let director = build_director(&plan, &mut switch)?;
        let real_servers = (0..plan.real_servers)
            .map(|index| RealServerMachine::build(plan, index, &mut switch))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            plan,
            real_servers,
            client,
            router,
            director,
            _switch: switch,
        })
    }

    /// What it was built from; knows the addresses and the services.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where clients ask from.
    #[must_use]
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// Between the client and the director, if the plan has a router; its
    /// links are `far0`, `front0` and, if it is on that network, `back0`.
    #[must_use]
    pub fn router(&self) -> Option<&Namespace> {
        self.router.as_ref()
    }

    /// Where the director belongs. It has its addresses and the VIP on
    /// `front0`; see [`Plan::director_links`].
    #[must_use]
    pub fn director(&self) -> &Namespace {
        &self.director
    }

    /// The real servers, which already serve.
    #[must_use]
    pub fn real_servers(&self) -> &[RealServerMachine] {
        &self.real_servers
    }

    /// The same, to stop and start them.
    #[must_use]
    pub fn real_servers_mut(&mut self) -> &mut [RealServerMachine] {
        &mut self.real_servers
    }
}

fn allow_open_files() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

/// Makes the router, on a network of its own with the client.
fn build_router(client: &Namespace, cable: Cable) -> io::Result<Namespace> {
    let router = Namespace::new("router")?;
    router.set("ipv4/ip_forward", "1")?;
    router.set("ipv6/conf/all/forwarding", "1")?;
    cable.lay((client, "far0"), (&router, "far0"))?;
    give_address(&mut router.network()?, "far0", Lan::Far, OUTSIDE)?;
    let mut network = client.network()?;
    give_address(&mut network, "far0", Lan::Far, FAR_CLIENT)?;
    give_gateway(&mut network, Lan::Far, OUTSIDE)?;
    Ok(router)
}

/// Connects the router, or without one the client, to the director's networks.
fn connect_outside(plan: &Plan, outside: &Namespace, switch: &mut Switch) -> io::Result<()> {
    let mut lans = vec![Lan::Front];
    if plan.layout == Layout::TwoArmed && plan.method != Method::Masquerade {
        lans.push(Lan::Back);
    }
    for lan in lans {
        switch.plug(lan.bridge(), outside, lan.link())?;
        give_address(&mut outside.network()?, lan.link(), lan, OUTSIDE)?;
    }
    Ok(())
}

fn build_director(plan: &Plan, switch: &mut Switch) -> io::Result<Namespace> {
    let director = Namespace::new("director")?;
    let lans = match plan.layout {
        Layout::OneArmed => &[Lan::Front][..],
        Layout::TwoArmed => &[Lan::Front, Lan::Back],
    };
    for lan in lans {
        switch.plug(lan.bridge(), &director, lan.link())?;
        give_address(&mut director.network()?, lan.link(), *lan, DIRECTOR)?;
    }
    let mut network = director.network()?;
    give_vip(&mut network, Lan::Front.link())?;
    if plan.router {
        give_gateway(&mut network, Lan::Front, OUTSIDE)?;
    }
    for lan in lans {
        prefer_source(&mut network, *lan, DIRECTOR)?;
    }
    Ok(director)
}
