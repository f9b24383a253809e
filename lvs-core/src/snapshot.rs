//! What a shard reads: one configuration and the way to each of its real
//! servers, immutable until the next.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::num::NonZeroU32;

use crate::config::{
    Config, ForwardingMethod, Persistence, RealServer, RealServerId, Service, ServiceKey, Setting,
    Settings, Weight,
};
use crate::conn::Lifetimes;
use crate::end_table::EndTable;
use crate::ends::Ends;
use crate::loads::Loads;
use crate::lookup::Lookup;
use crate::memory::{self, Memory};
use crate::network::{Network, Resolution};
use crate::packet::{Addresses, FlowKey, Packet, Seed};
use crate::paths::PathMtus;
use crate::sched::Roster;
use crate::steer::Owner;

/// A NIC, by its place in the list the director was started with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u8);

impl Port {
    /// The host itself: what it sends on its own, in so far as a director asks
    /// for it. Nothing is transmitted by it; see
    /// [`Verdict::Deliver`](crate::Verdict::Deliver).
    pub const HOST: Self = Self(u8::MAX);

    /// Its place in arrays kept by port.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One of the director's shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u8);

impl ShardId {
    /// Its place in arrays kept by shard.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A configuration together with the ways to its real servers.
///
/// Made by [`Planner::plan`](crate::Planner::plan) on the control side, shared
/// by all shards, replaced whole.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) network: Arc<Network>,
    pub(crate) loads: Arc<Loads>,
    pub(crate) paths: Arc<PathMtus>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) services: Vec<PlannedService>,
    /// By [`RealServerId`]; `None` where the number is free or retired.
    pub(crate) real_servers: Vec<Option<PlannedRealServer>>,
    /// Those that are retired, by their numbers, sorted.
    pub(crate) removed: Vec<(RealServerId, PlannedRealServer)>,
    pub(crate) lookup: Lookup,
    /// How the shards are found that may have connections of services on marks.
    pub(crate) mark_owners: Vec<Owner>,
    /// Masqueraded real servers, by the source of their replies; those too that
    /// were masqueraded once and may hold connections from that time.
    pub(crate) masqueraded: Ends,
    /// Tunnels, by their protocol, the real server they lead to, and their port.
    pub(crate) tunnels: EndTable,
    /// Every VIP with each protocol served there, sorted.
    pub(crate) vips: Vec<(IpAddr, u8)>,
    pub(crate) serves_ipv4: bool,
    pub(crate) serves_ipv6: bool,
    /// The greatest mode of `drop_entry`, the director's or a service's: where any
    /// of them acts, it does.
    pub(crate) drop_entry: i32,
    /// Whether the one before had real servers that this one has not, whose
    /// connections are to end.
    pub(crate) lets_go: bool,
    /// Whether it directs nothing for now, as a backup; it serves no family then.
    pub(crate) stands_by: bool,
    pub(crate) seed: Seed,
    pub(crate) shards: u8,
}

/// A service as the data path needs it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedService {
    pub(crate) key: ServiceKey,
    /// Whether its packets come to the host, as those on a mark do and those to
    /// an address of the host's own. Others only pass, and are routed.
    pub(crate) is_reached: bool,
    pub(crate) roster: Roster,
    /// The numbers of its real servers, in the order of the configuration.
    pub(crate) numbers: Vec<RealServerId>,
    /// How the shard is found that begins its connections; `None` for the one
    /// whose queue receives them.
    pub(crate) owner: Option<Owner>,
    /// How the shards are found that may have connections of it, its present
    /// owner first.
    pub(crate) owners: Vec<Owner>,
    pub(crate) persistence: Option<Persistence>,
    /// Whether its UDP packets are scheduled each by itself.
    pub(crate) one_packet: bool,
    /// The director's settings, with the service's own in their place.
    pub(crate) settings: Settings,
    /// The number that stays with the service over generations.
    pub(crate) slot: u32,
}

/// A real server as the data path needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedRealServer {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) forwarding: ForwardingMethod,
    pub(crate) way: Resolution,
    pub(crate) weight: Weight,
    /// Its service's place in the configuration.
    pub(crate) service: u32,
    /// The generation that gave it its number.
    pub(crate) since: u64,
}

impl Snapshot {
    /// Counts up with each plan.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The configuration it carries out.
    #[must_use]
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The interfaces, routes and neighbours it was made from.
    #[must_use]
    pub const fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Each service's real servers with their numbers, in configuration order.
    pub fn configured(&self) -> impl Iterator<Item = (&Service, &RealServer, RealServerId)> {
        let services = self.config.services().iter().zip(&self.services);
        services.flat_map(|(service, planned)| {
            let real_servers = service.real_servers.iter().zip(&planned.numbers);
            real_servers.map(move |(real_server, id)| (service, real_server, *id))
        })
    }

    /// All real servers by their services' keys, with their numbers, in the order of
    /// these.
    pub fn real_servers(&self) -> impl Iterator<Item = (ServiceKey, IpAddr, u16, RealServerId)> {
        self.real_servers
            .iter()
            .enumerate()
            .filter_map(|(index, planned)| {
                let planned = planned.as_ref()?;
                let service = self.services.get(planned.service as usize)?;
                Some((
                    service.key,
                    planned.address,
                    planned.port,
                    RealServerId(index as u32),
                ))
            })
    }

    /// The real servers that got their numbers after `generation`: what was counted
    /// under these by then was another's, or is to be forgotten.
    pub fn numbered_since(&self, generation: u64) -> impl Iterator<Item = RealServerId> {
        let numbers = (0u32..).map(RealServerId).zip(&self.real_servers);
        numbers
            .filter(move |(_, planned)| planned.as_ref().is_some_and(|it| it.since > generation))
            .map(|(id, _)| id)
    }

    /// Those of one of its services.
    pub(crate) fn numbered_of(
        &self,
        service: &PlannedService,
        generation: u64,
    ) -> impl Iterator<Item = RealServerId> {
        let ids = service.roster.members().iter().map(|member| member.id);
        let since = move |id| self.real_server(id).map(|planned| planned.since);
        ids.filter(move |id| since(*id) > Some(generation))
    }

    /// One more than the highest number given to a real server so far.
    #[must_use]
    pub fn real_server_numbers(&self) -> usize {
        self.real_servers.len()
    }

    /// The real servers no packet can be sent to now, and why. One that is the
    /// host itself is among them only where it is masqueraded and its address a
    /// loopback one, to which nothing goes from outside.
    pub fn unreachable(&self) -> impl Iterator<Item = (IpAddr, Resolution)> {
        let is_reachable = |planned: &&PlannedRealServer| match planned.way {
            Resolution::Hop(_) => true,
            Resolution::Local => {
                !planned.address.is_loopback() || planned.forwarding != ForwardingMethod::Masquerade
            }
            Resolution::Unresolved | Resolution::Unreachable => false,
        };
        self.real_servers
            .iter()
            .flatten()
            .filter(move |planned| !is_reachable(planned))
            .map(|planned| (planned.address, planned.way))
    }

    /// Protocol, address and port of each masqueraded real server: the source of
    /// its replies. Those too that were masqueraded, or configured, only once,
    /// while connections of that time may be left. Protocol 0 is any, of a
    /// service on a mark, and port 0 every port.
    pub fn masqueraded_ends(&self) -> impl Iterator<Item = (u8, IpAddr, u16)> {
        self.masqueraded.iter()
    }

    /// Those of the [`masqueraded_ends`](Self::masqueraded_ends) that are the
    /// host's own: what the host sends from there must come to a director, by
    /// [`Port::HOST`].
    pub fn own_ends(&self) -> impl Iterator<Item = (u8, IpAddr, u16)> {
        let is_own = |address: IpAddr| {
            !address.is_loopback() && self.network.resolve(address) == Resolution::Local
        };
        self.masqueraded_ends()
            .filter(move |(_, address, _)| is_own(*address))
    }

    /// Whether there is any service of this family. Without one the director
    /// is none, as the kernel's then has no hooks: what it remembers of earlier
    /// services does not matter.
    pub(crate) fn serves(&self, family: &Addresses) -> bool {
        match family {
            Addresses::V4 { .. } => self.serves_ipv4,
            Addresses::V6 { .. } => self.serves_ipv6,
        }
    }

    /// The services on addresses that are not the host's, whose packets it only
    /// routes.
    pub fn unreached(&self) -> impl Iterator<Item = ServiceKey> {
        let unreached = self.services.iter().filter(|service| !service.is_reached);
        unreached.map(|service| service.key)
    }

    /// The service a packet with this mark is addressed to.
    ///
    /// *Source:* the kernel's IPVS gets only what is delivered to the host (its
    /// hook LOCAL_IN).
    pub(crate) fn service(
        &self,
        flow: &FlowKey,
        mark: Option<NonZeroU32>,
    ) -> Option<&PlannedService> {
        self.asked_for(flow, mark)
            .filter(|service| service.is_reached)
    }

    /// The service with this very key.
    pub(crate) fn service_of(&self, key: ServiceKey) -> Option<&PlannedService> {
        let place = self.lookup.place_of(key)?;
        self.services.get(place as usize)
    }

    /// The service that a packet which came by `ingress` asks. The host itself asks
    /// none: it is heard only as a real server.
    pub(crate) fn service_asked(&self, ingress: Port, packet: &Packet) -> Option<&PlannedService> {
        if ingress == Port::HOST {
            return None;
        }
        let mark = self.config.classifier().mark(ingress, packet);
        self.service(&packet.flow, mark)
    }

    /// The service a packet with this mark is addressed to, even if the host only
    /// routes it.
    pub(crate) fn asked_for(
        &self,
        flow: &FlowKey,
        mark: Option<NonZeroU32>,
    ) -> Option<&PlannedService> {
        self.services.get(self.lookup.service(flow, mark)? as usize)
    }

    /// A setting's value as the kernel shows it: that of an automatic defence
    /// says whether it acts now.
    #[must_use]
    pub fn shown(&self, setting: Setting) -> i32 {
        let settings = self.config.settings();
        let value = settings.get(setting);
        match setting {
            Setting::DropEntry | Setting::DropPacket | Setting::SecureTcp => {
                memory::shown(value, self.memory.shortage(settings).is_some())
            }
            _ => value,
        }
    }

    /// The settings that hold for the connections of a real server, which may have
    /// been removed: the director's when its service is gone as well.
    ///
    /// *Cost:* a binary search if it has been removed.
    pub(crate) fn settings_of(&self, id: RealServerId) -> &Settings {
        let planned = self.real_server(id).or_else(|| self.removed(id));
        planned.map_or(self.config.settings(), |planned| self.settings_for(planned))
    }

    /// Whether a real server has been removed, and its connections are to end.
    pub(crate) fn lets_go_of(&self, id: RealServerId) -> bool {
        self.real_server(id).is_none() && self.settings_of(id).is_on(Setting::ExpireNodestConn)
    }

    /// The same of one that is known.
    pub(crate) fn settings_for(&self, planned: &PlannedRealServer) -> &Settings {
        let service = self.services.get(planned.service as usize);
        service.map_or(self.config.settings(), |service| &service.settings)
    }

    pub(crate) fn real_server(&self, id: RealServerId) -> Option<&PlannedRealServer> {
        self.real_servers.get(id.index())?.as_ref()
    }

    /// The same of one that has been removed, while its number is not reused.
    ///
    /// *Cost:* a binary search.
    pub(crate) fn removed(&self, id: RealServerId) -> Option<&PlannedRealServer> {
        let found = self.removed.binary_search_by_key(&id, |(id, _)| *id);
        Some(&self.removed.get(found.ok()?)?.1)
    }

    /// How the owners of its connections are found, if this comes from a
    /// masqueraded real server's service port.
    pub(crate) fn masqueraded_reply(&self, flow: &FlowKey) -> Option<&[Owner]> {
        self.masqueraded.owners(flow)
    }

    /// A real server to which a tunnel leads by this protocol and port.
    pub(crate) fn tunnel(
        &self,
        (protocol, port): (u8, u16),
        address: Ipv4Addr,
    ) -> Option<RealServerId> {
        let id = self.tunnels.get(protocol, IpAddr::V4(address), port)?;
        Some(RealServerId(id))
    }

    /// Every real server to which a tunnel leads at `address`.
    pub(crate) fn tunnels_to(&self, address: IpAddr) -> impl Iterator<Item = RealServerId> {
        (0u32..)
            .zip(&self.real_servers)
            .filter(move |(_, planned)| {
                planned.as_ref().is_some_and(|planned| {
                    planned.address == address
                        && matches!(planned.forwarding, ForwardingMethod::Tunnel(_))
                })
            })
            .map(|(id, _)| RealServerId(id))
    }

    /// Whether an address belongs to any service, whatever the port.
    pub(crate) fn is_vip(&self, address: IpAddr) -> bool {
        self.vips
            .binary_search_by_key(&address, |(vip, _)| *vip)
            .is_ok()
    }

    /// The same where services on marks are, whose addresses are not known.
    pub(crate) fn may_be_vip(&self, address: IpAddr) -> bool {
        self.lookup.has_marks() || self.is_vip(address)
    }

    /// Whether a packet whose ports are not known may be one to a service or a
    /// masqueraded real server's reply.
    pub(crate) fn may_be_of_a_service(&self, flow: &FlowKey) -> bool {
        let end = (flow.addresses.destination(), flow.protocol);
        self.vips.binary_search(&end).is_ok()
            || self
                .masqueraded
                .has_address_of(flow.addresses.source(), flow.protocol)
    }

    /// The same of a fragment that came in on `port`, which may be of a service
    /// on a mark too.
    pub(crate) fn may_have_fragment(&self, port: Port, packet: &Packet) -> bool {
        self.may_be_of_a_service(&packet.flow)
            || self.lookup.has_marks() && self.config.classifier().may_mark(port, packet)
    }
}
