//! `[[service]]` and `[[service.real_server]]`.
//!
//! Rules about services and real servers are those of [`Config::new`]: each
//! piece is shown to it alone, so that each fault has its place in the file.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::{Range, RangeInclusive};

use lvs_core::config::{
    Config, ConfigError, Family, Protocol, RealServer, Scheduler, Service, ServiceKey, Weight,
};

use super::fields::{Fields, Given, Reading};
use super::options;

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
    let schedulers = Scheduler::ALL.map(|scheduler| (scheduler.name(), scheduler));
    let scheduler = fields.choice("scheduler", &schedulers, reading);
    // Faults of the real servers are told even if the service has its own.
    let real_servers: Vec<_> = fields
        .tables("real_server", &REAL_SERVER_FIELDS, reading)
        .into_iter()
        .filter_map(|table| Some((real_server(&table, reading)?, table)))
        .collect();
    let Given { value: key, span } = identity?;
    let mut bare = Service::keyed(key, scheduler.unwrap_or_default());
    options::read(&mut bare, fields, reading);
    if let Err(error) = Config::new([bare.clone()]) {
        let place = fields.place(field_of(&key));
        reading.fault(span, place, error.to_string(), help_for(&error));
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
        if fields.has(name) {
            let what = format!("{name} is given, but the mark alone says what is served");
            let help = "remove it; rules [[mark]] say which packets carry the mark";
            reading.fault(fields.span(), fields.place(name), what, help);
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

fn with_real_servers<'t>(
    bare: Service,
    real_servers: Vec<(Given<RealServer>, Fields<'t>)>,
    reading: &mut Reading<'t>,
) -> Service {
    let mut service = bare.clone();
    let mut places: HashMap<SocketAddr, Range<usize>> = HashMap::new();
    for (Given { value, span }, fields) in real_servers {
        let port = value.port_in(&service.key);
        let at = SocketAddr::new(value.address, port);
        let place = fields.place("address");
        if let Some(first) = places.get(&at) {
            let error = ConfigError::DuplicateRealServer {
                service: service.key(),
                real_server: at,
            };
            let help = format!("the first is in line {}", reading.line(first));
            reading.fault(span, place, error.to_string(), help);
        } else if let Err(error) = Config::new([bare.clone().real_server(value.clone())]) {
            reading.fault(span, place, error.to_string(), help_for(&error));
        } else {
            places.insert(at, span);
            service = service.real_server(value);
        }
    }
    service
}

fn virtual_address<'t>(
    fields: &Fields<'t>,
    reading: &mut Reading<'t>,
) -> Option<Given<SocketAddr>> {
    let given = fields.string("address", reading)?;
    let (help, value) = match (
        given.value.parse::<SocketAddr>(),
        given.value.parse::<IpAddr>(),
    ) {
        (Ok(address), _) => ("", Some(address)),
        (_, Ok(IpAddr::V4(ip))) => (&*format!("add the port, as in \"{ip}:80\""), None),
        (_, Ok(IpAddr::V6(ip))) => (&*format!("add the port, as in \"[{ip}]:80\""), None),
        _ => (
            "write it as in \"192.0.2.10:80\" or \"[2001:db8::10]:80\"",
            None,
        ),
    };
    if value.is_none() {
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

/// The real server of one table, and the place of its address.
fn real_server<'t>(fields: &Fields<'t>, reading: &mut Reading<'t>) -> Option<Given<RealServer>> {
    let help = "say where it is, as in address = \"10.0.0.11\"";
    fields.require("address", help, reading);
    let help = "say how packets reach it, as in forwarding = \"masquerade\"";
    fields.require("forwarding", help, reading);
    let address = real_address(fields, reading);
    let method = fields.choice("forwarding", &METHODS, reading);
    let help = "shares are relative to the other real servers; 0 takes no new connections";
    let weight = fields.number("weight", WEIGHTS, help, reading);
    let (
        Given {
            value: (ip, port),
            span,
        },
        method,
    ) = (address?, method?);
    let real_server = match (method, port) {
        (Method::Masquerade, port) => {
            RealServer::masquerade(SocketAddr::new(ip, port.unwrap_or(0)))
        }
        (Method::DirectRoute, None) => RealServer::direct_route(ip),
        (Method::Tunnel, None) => RealServer::tunnel(ip),
        (Method::DirectRoute | Method::Tunnel, Some(port)) => {
            let what = format!(
                "address has port {port}, but only masquerading can change the port: \
                 the packet keeps its own"
            );
            let help = format!("write address = \"{ip}\", or forwarding = \"masquerade\"");
            reading.fault(span, fields.place("address"), what, help);
            return None;
        }
    };
    Some(Given {
        value: real_server
            .weight(weight.map_or(1, |weight| weight.value as u32))
            .thresholds(options::thresholds(fields, reading)),
        span,
    })
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
        let help = "write it as in \"10.0.0.11\", \"10.0.0.11:8080\" or \"[2001:db8::11]:8080\"";
        reading.fault(given.span.clone(), fields.place("address"), what, help);
    }
    value.map(|value| Given {
        value,
        span: given.span,
    })
}

/// What to do about a rule of the core's.
fn help_for(error: &ConfigError) -> &'static str {
    match error {
        ConfigError::VipNotUnicast(_) => "write the address that clients connect to",
        ConfigError::PortZero(_) => {
            "write the port that clients connect to, or add persistent = 360"
        }
        ConfigError::OnePacketNotUdp(_) => "remove one_packet, or write protocol = \"udp\"",
        ConfigError::ThresholdsCrossed { .. } => "lower one, or raise upper_threshold",
        ConfigError::RealServerNotUnicast(_) => "write the real server's own address",
        ConfigError::MixedFamilies { .. } => {
            "write its address of the other family, or move it to a service of its own family"
        }
        _ => "change it, or remove it",
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
const PROTOCOLS: [(&str, Protocol); 2] = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
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
const REAL_SERVER_FIELDS: [&str; 5] = [
    "address",
    "forwarding",
    "weight",
    "upper_threshold",
    "lower_threshold",
];
