//! `[[service]]` and `[[service.real_server]]`.
//!
//! Rules about services and real servers are those of [`Config::new`]: each
//! piece is shown to it alone, so that each fault has its place in the file.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::{Range, RangeInclusive};

use lvs_core::config::{
    Config, ConfigError, Family, ForwardingMethod, Protocol, RealServer, Scheduler, Service,
    ServiceKey, Weight,
};

use super::fields::{Fields, Given, Reading};
use super::{options, tunnel};

/// Reads every `[[service]]`. Those with faults are left out.
pub(super) fn services<'t>(
    file: &Fields<'t>,
    reading: &mut Reading<'t>,
) -> (Vec<Service>, BTreeMap<ServiceKey, String>) {
    let mut services = Vec::new();
    let mut names = BTreeMap::new();
    let mut places: HashMap<ServiceKey, Range<usize>> = HashMap::new();
    let known = [&OWN_FIELDS[..], &options::FIELDS].concat();
    for fields in file.tables("service", &known, reading) {
        let name = fields.string("name", reading);
        let Some((service, span)) = service(&fields, reading) else {
            continue;
        };
        let key = service.key();
        if let Some(first) = places.get(&key) {
            let what = ConfigError::DuplicateService(key).to_string();
            let help = format!("the first is in line {}", reading.line(first));
            reading.fault(span, fields.place(field_of(&key)), what, help);
            continue;
        }
        places.insert(key, span);
        if let Some(name) = name {
            names.insert(key, name.value.to_owned());
        }
        services.push(service);
    }
    (services, names)
}

/// The service of one table, and the place of its address.
fn service<'t>(fields: &Fields<'t>, reading: &mut Reading<'t>) -> Option<(Service, Range<usize>)> {
    let identity = if fields.has("mark") {
        mark(fields, reading)
    } else {
        address(fields, reading)
    };
    let all = Scheduler::ALL.into_iter().chain([Scheduler::None]);
    let schedulers: Vec<_> = all.map(|scheduler| (scheduler.name(), scheduler)).collect();
    let scheduler = fields.choice("scheduler", &schedulers, reading);
    // Faults of the real servers are told even if the service has its own.
    let mut real_servers: Vec<_> = fields
        .tables("real_server", &REAL_SERVER_FIELDS, reading)
        .into_iter()
        .filter_map(|table| real_server(table, reading))
        .collect();
    let key = identity.as_ref().map(|identity| identity.value);
    refuse_twice(&mut real_servers, key, reading);
    let Given { value: key, span } = identity?;
    let mut bare = Service::keyed(key, scheduler.unwrap_or_default());
    options::read(&mut bare, fields, reading);
    if let Err(error) = Config::new([bare.clone()]) {
        let place = fields.place(field_of(&key));
        reading.fault(
            span,
            place,
            error.to_string(),
            help_for(&error, key.family()),
        );
        return None;
    }
    Some((with_real_servers(bare, real_servers, reading), span))
}

/// What a service on an address is identified by, and the place of the address.
fn address<'t>(fields: &Fields<'t>, reading: &mut Reading<'t>) -> Option<Given<ServiceKey>> {
    let help = "say what it serves, as in address = \"192.0.2.10:80\" or mark = 1";
    fields.require("address", help, reading);
    let help = "say which, as in protocol = \"tcp\"";
    fields.require("protocol", help, reading);
    if let Some(span) = fields.given("family") {
        let what = "family is given, but the address says which it is";
        let help = "remove it, or write mark = 1 in place of address and protocol";
        reading.fault(span, fields.place("family"), what, help);
    }
    let address = virtual_address(fields, reading);
    let protocol = fields.choice("protocol", &PROTOCOLS, reading)?;
    let Given {
        value: address,
        span,
    } = address?;
    Some(Given {
        value: ServiceKey::Address { protocol, address },
        span,
    })
}

/// What a service on a firewall mark is identified by, and the place of the mark.
fn mark<'t>(fields: &Fields<'t>, reading: &mut Reading<'t>) -> Option<Given<ServiceKey>> {
    for name in ["address", "protocol"] {
        if let Some(span) = fields.given(name) {
            let what = format!("{name} is given, but the mark alone says what is served");
            let help = "remove it; rules [[mark]] say which packets carry the mark";
            reading.fault(span, fields.place(name), what, help);
        }
    }
    let help = "say of which packets, as in family = \"ipv4\"";
    fields.require("family", help, reading);
    let family = fields.choice("family", &FAMILIES, reading);
    let help = "the mark that rules [[mark]] give";
    let Given { value, span } = fields.number("mark", MARKS, help, reading)?;
    Some(Given {
        value: ServiceKey::Mark {
            family: family?,
            mark: NonZeroU32::new(value as u32)?,
        },
        span,
    })
}

/// The field that identifies a service.
const fn field_of(key: &ServiceKey) -> &'static str {
    match key {
        ServiceKey::Address { .. } => "address",
        ServiceKey::Mark { .. } => "mark",
    }
}

/// A real server as its table gives it.
struct Read<'t> {
    address: Given<(IpAddr, Option<u16>)>,
    /// `None` with a fault noted.
    real_server: Option<RealServer>,
    fields: Fields<'t>,
}

/// Notes those given twice, faulty or not, and leaves the first of each. `key`
/// is the service's, if that is right.
fn refuse_twice(
    real_servers: &mut Vec<Read<'_>>,
    key: Option<ServiceKey>,
    reading: &mut Reading<'_>,
) {
    let mut places: HashMap<(IpAddr, Option<u16>), Range<usize>> = HashMap::new();
    real_servers.retain(|read| {
        let (ip, own) = read.address.value;
        // Without a port of its own it has the service's.
        let port = own.or(key.map(|key| key.port()));
        let span = read.address.span.clone();
        let Some(first) = places.get(&(ip, port)) else {
            places.insert((ip, port), span);
            return true;
        };
        let what = match (key, port) {
            (Some(service), Some(port)) => ConfigError::DuplicateRealServer {
                service,
                real_server: SocketAddr::new(ip, port),
            }
            .to_string(),
            _ => format!("real server {ip} is given twice: remove one"),
        };
        let help = format!("the first is in line {}", reading.line(first));
        reading.fault(span, read.fields.place("address"), what, help);
        false
    });
}

/// The service with those of its real servers that are right.
fn with_real_servers(
    bare: Service,
    real_servers: Vec<Read<'_>>,
    reading: &mut Reading<'_>,
) -> Service {
    let mut service = bare.clone();
    for read in real_servers {
        let Some(real_server) = read.real_server else {
            continue;
        };
        match Config::new([bare.clone().real_server(real_server.clone())]) {
            Ok(_) => service = service.real_server(real_server),
            Err(error) => {
                let place = read.fields.place("address");
                let help = help_for(&error, bare.key.family());
                reading.fault(read.address.span, place, error.to_string(), help);
            }
        }
    }
    service
}

fn virtual_address<'t>(
    fields: &Fields<'t>,
    reading: &mut Reading<'t>,
) -> Option<Given<SocketAddr>> {
    let given = fields.string("address", reading)?;
    let value = given.value.parse::<SocketAddr>().ok();
    if value.is_none() {
        let help = match (unbracketed(given.value), given.value.parse::<IpAddr>()) {
            (Some(meant), Err(_)) => format!("write it as in \"{meant}\""),
            (Some(meant), Ok(ip)) => {
                let whole = SocketAddr::new(ip, 80);
                format!("write \"{meant}\", or \"{whole}\" if all of it is the address")
            }
            (None, Ok(ip)) => format!("add the port, as in \"{}\"", SocketAddr::new(ip, 80)),
            (None, Err(_)) => {
                "write it as in \"192.0.2.10:80\" or \"[2001:db8::10]:80\"".to_owned()
            }
        };
        let what = format!(
            "address is {:?}, but must be an IP address, a colon and a port",
            given.value
        );
        reading.fault(given.span.clone(), fields.place("address"), what, help);
    }
    value.map(|value| Given {
        value,
        span: given.span,
    })
}

/// What an IPv6 address with a port at its end is in brackets: without, the port
/// reads like one more group of the address.
fn unbracketed(given: &str) -> Option<SocketAddr> {
    let (address, port) = given.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    Some(SocketAddr::new(
        address.parse::<Ipv6Addr>().ok()?.into(),
        port,
    ))
}

/// The real server of one table.
fn real_server<'t>(fields: Fields<'t>, reading: &mut Reading<'t>) -> Option<Read<'t>> {
    let help = "say where it is, as in address = \"10.0.0.11\"";
    fields.require("address", help, reading);
    let help = "say how packets reach it, as in forwarding = \"masquerade\"";
    fields.require("forwarding", help, reading);
    let address = real_address(&fields, reading);
    let method = fields.choice("forwarding", &METHODS, reading);
    let help = "shares are relative to the other real servers; 0 takes no new connections";
    let weight = fields.number("weight", WEIGHTS, help, reading);
    let address = address?;
    let real_server = method.and_then(|method| by(method, &address, &fields, reading));
    let weight = weight.map_or(1, |weight| weight.value as u32);
    let thresholds = options::thresholds(&fields, reading);
    Some(Read {
        real_server: real_server.map(|it| it.weight(weight).thresholds(thresholds)),
        address,
        fields,
    })
}

/// The real server at an address by a forwarding method.
fn by(
    method: Method,
    address: &Given<(IpAddr, Option<u16>)>,
    fields: &Fields<'_>,
    reading: &mut Reading<'_>,
) -> Option<RealServer> {
    let (ip, port) = address.value;
    let tunnel = match method {
        Method::Tunnel => tunnel::tunnel(fields, reading),
        Method::Masquerade | Method::DirectRoute => {
            tunnel::refuse_all(fields, reading);
            None
        }
    };
    match (method, port) {
        (Method::Masquerade, port) => {
            let at = SocketAddr::new(ip, port.unwrap_or(0));
            Some(RealServer::masquerade(at))
        }
        (Method::DirectRoute, None) => Some(RealServer::direct_route(ip)),
        (Method::Tunnel, None) => {
            let forwarding = ForwardingMethod::Tunnel(tunnel?);
            Some(RealServer::new(SocketAddr::new(ip, 0), forwarding))
        }
        (Method::DirectRoute | Method::Tunnel, Some(port)) => {
            let what = format!(
                "address has port {port}, but only masquerading can change the port: \
                 the packet keeps its own"
            );
            let help = format!("write address = \"{ip}\", or forwarding = \"masquerade\"");
            let span = address.span.clone();
            reading.fault(span, fields.place("address"), what, help);
            None
        }
    }
}

fn real_address<'t>(
    fields: &Fields<'t>,
    reading: &mut Reading<'t>,
) -> Option<Given<(IpAddr, Option<u16>)>> {
    let given = fields.string("address", reading)?;
    let value = match given.value.parse::<IpAddr>() {
        Ok(ip) => Some((ip, None)),
        Err(_) => match given.value.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => Some((address.ip(), Some(address.port()))),
            _ => None,
        },
    };
    if value.is_none() {
        let what = format!(
            "address is {:?}, but must be an IP address, or one with a port from 1 to 65535",
            given.value
        );
        let help = match unbracketed(given.value) {
            Some(meant) => format!("write it as in \"{meant}\""),
            None => "write it as in \"10.0.0.11\", \"10.0.0.11:8080\" or \"[2001:db8::11]:8080\""
                .to_owned(),
        };
        reading.fault(given.span.clone(), fields.place("address"), what, help);
    }
    value.map(|value| Given {
        value,
        span: given.span,
    })
}

/// What to do about a rule of the core's that a service of this family breaks.
fn help_for(error: &ConfigError, family: Family) -> String {
    let (own, other) = match family {
        Family::V4 => ("IPv4", "IPv6"),
        Family::V6 => ("IPv6", "IPv4"),
    };
    match error {
        ConfigError::PortZero(_) => {
            "write the port that clients connect to, or add persistent = 360".to_owned()
        }
        ConfigError::OnePacketNotUdp(_) => {
            "remove one_packet, or write protocol = \"udp\"".to_owned()
        }
        ConfigError::ThresholdsCrossed { .. } => "lower one, or raise upper_threshold".to_owned(),
        ConfigError::RealServerNotUnicast(_) => "write the real server's own address".to_owned(),
        ConfigError::MixedFamilies { .. } => {
            format!(
                "write its {own} address, move it to a service with an {other} address, or \
                 reach it by a tunnel"
            )
        }
        _ => "change it, or remove it".to_owned(),
    }
}

#[derive(Clone, Copy)]
enum Method {
    Masquerade,
    DirectRoute,
    Tunnel,
}

/// The letters are those of ipvsadm.
const METHODS: [(&str, Method); 6] = [
    ("masquerade", Method::Masquerade),
    ("direct-route", Method::DirectRoute),
    ("tunnel", Method::Tunnel),
    ("m", Method::Masquerade),
    ("g", Method::DirectRoute),
    ("i", Method::Tunnel),
];
const PROTOCOLS: [(&str, Protocol); 3] = [
    ("tcp", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("sctp", Protocol::Sctp),
];
const WEIGHTS: RangeInclusive<u64> = 0..=Weight::MAX.get() as u64;
const FAMILIES: [(&str, Family); 2] = [("ipv4", Family::V4), ("ipv6", Family::V6)];
const MARKS: RangeInclusive<u64> = 1..=u32::MAX as u64;
const OWN_FIELDS: [&str; 7] = [
    "name",
    "address",
    "protocol",
    "mark",
    "family",
    "scheduler",
    "real_server",
];
const REAL_SERVER_FIELDS: [&str; 8] = {
    let [kind, port, checksum] = tunnel::FIELDS;
    [
        "address",
        "forwarding",
        "weight",
        "upper_threshold",
        "lower_threshold",
        kind,
        port,
        checksum,
    ]
};
