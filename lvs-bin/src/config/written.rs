//! The other way: services, real servers and timeouts in the words of the file.
//!
//! A file is changed where it must be: comments, order, and what has not changed
//! stay as somebody wrote them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lvs_core::config::{ClientMask, Draft, Family, GueChecksum, Setting, Timeouts, Tunnel};
use lvs_core::{ForwardingMethod, Protocol, RealServer, Service, ServiceKey};
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TomlError, Value};

/// Fields of a table, each with its value.
pub(crate) type Written = BTreeMap<&'static str, Value>;

/// A file's text that says `after` where it said `before`: services with their
/// real servers, and timeouts. Of anything else, what the text says stays.
///
/// *Errors:* the text is no TOML.
pub(crate) fn changed(text: &str, before: &Draft, after: &Draft) -> Result<String, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let file = document.as_table_mut();
    change_timeouts(file, &before.timeouts, &after.timeouts);
    change_list(
        file,
        "service",
        &before.services,
        &after.services,
        |service| service.key,
        service_table,
        change_service,
    );
    Ok(document.to_string())
}

/// The fields of a service, without its real servers.
pub(crate) fn service(service: &Service) -> Written {
    let mut written = Written::new();
    match service.key {
        ServiceKey::Address { protocol, address } => {
            written.insert("address", address.to_string().into());
            written.insert("protocol", word_of(protocol).into());
        }
        ServiceKey::Mark { family, mark } => {
            let family = match family {
                Family::V4 => "ipv4",
                Family::V6 => "ipv6",
            };
            written.insert("mark", i64::from(mark.get()).into());
            written.insert("family", family.into());
        }
    }
    written.insert("scheduler", service.scheduler.name().into());
    if let Some(persistence) = service.persistence {
        written.insert("persistent", seconds(persistence.timeout.as_secs()));
        match persistence.mask {
            Some(ClientMask::V4(mask)) => written.insert("mask", mask.to_string().into()),
            Some(ClientMask::V6(bits)) => written.insert("mask", i64::from(bits).into()),
            None => None,
        };
    }
    if service.one_packet {
        written.insert("one_packet", true.into());
    }
    let flags = [
        (service.flags.fallback, "fallback"),
        (service.flags.port, "port"),
        (service.flags.third, "flag-3"),
    ];
    let on = flags.into_iter().filter(|(is_on, _)| *is_on);
    let on: Vec<&str> = on.map(|(_, flag)| flag).collect();
    if !on.is_empty() {
        written.insert("flags", on.into_iter().collect());
    }
    let given = Setting::ALL.into_iter().filter_map(|setting| {
        let value = service.settings.get(setting)?;
        Some((setting.name(), Value::from(i64::from(value))))
    });
    let settings: InlineTable = given.collect();
    if !settings.is_empty() {
        written.insert("settings", settings.into());
    }
    written
}

/// The fields of a real server of a service.
pub(crate) fn real_server(key: &ServiceKey, real_server: &RealServer) -> Written {
    let mut written = Written::new();
    let port = real_server.port_in(key);
    let is_masqueraded = real_server.forwarding == ForwardingMethod::Masquerade;
    let address = if is_masqueraded && port != key.port() {
        SocketAddr::new(real_server.address, port).to_string()
    } else {
        real_server.address.to_string()
    };
    written.insert("address", address.into());
    let forwarding = match real_server.forwarding {
        ForwardingMethod::Masquerade => "masquerade",
        ForwardingMethod::DirectRoute => "direct-route",
        ForwardingMethod::Tunnel(_) => "tunnel",
    };
    written.insert("forwarding", forwarding.into());
    if let ForwardingMethod::Tunnel(tunnel) = real_server.forwarding {
        add_tunnel(tunnel, &mut written);
    }
    let weight = real_server.share().get();
    written.insert("weight", i64::from(weight).into());
    for (name, connections) in [
        ("upper_threshold", real_server.thresholds.upper),
        ("lower_threshold", real_server.thresholds.lower),
    ] {
        if connections != 0 {
            written.insert(name, i64::from(connections).into());
        }
    }
    written
}

/// The fields of timeouts.
pub(crate) fn timeouts(timeouts: &Timeouts) -> Written {
    [
        ("tcp", timeouts.tcp),
        ("tcp_fin", timeouts.tcp_fin),
        ("udp", timeouts.udp),
    ]
    .map(|(name, time)| (name, seconds(time.as_secs())))
    .into()
}

fn seconds(seconds: u64) -> Value {
    i64::try_from(seconds).unwrap_or(i64::MAX).into()
}

const fn word_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
        _ => "tcp",
    }
}

fn add_tunnel(tunnel: Tunnel, written: &mut Written) {
    match tunnel {
        Tunnel::Ipip => {}
        Tunnel::Gre { checksum } => {
            written.insert("tunnel", "gre".into());
            if checksum {
                written.insert("tunnel_checksum", "full".into());
            }
        }
        Tunnel::Gue { port, checksum } => {
            written.insert("tunnel", "gue".into());
            written.insert("tunnel_port", i64::from(port).into());
            match checksum {
                GueChecksum::None => None,
                GueChecksum::Full => written.insert("tunnel_checksum", "full".into()),
                GueChecksum::Remote => written.insert("tunnel_checksum", "remote".into()),
            };
        }
    }
}

/// Whether two values say the same.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    one.to_string().trim() == other.to_string().trim()
}

/// Changes the fields of a table that are not the same before and after.
fn change_fields(table: &mut Table, before: &Written, after: &Written) {
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        table.remove(name);
    }
    for (name, value) in after {
        let same = before.get(name).is_some_and(|it| is_same(it, value));
        if same {
            continue;
        }
        match table.get_mut(name).and_then(Item::as_value_mut) {
            // What is written around the old one stays.
            Some(old) => {
                let decor = old.decor().clone();
                *old = value.clone();
                *old.decor_mut() = decor;
            }
            None => {
                table.insert(name, Item::Value(value.clone()));
            }
        }
    }
}

fn change_timeouts(file: &mut Table, before: &Timeouts, after: &Timeouts) {
    let (before, after) = (timeouts(before), timeouts(after));
    let is_as_before = |(name, value): (_, &Value)| is_same(&before[name], value);
    if after
        .iter()
        .all(|(name, value)| is_as_before((*name, value)))
    {
        return;
    }
    let item = file.entry("timeouts").or_insert_with(toml_edit::table);
    if let Some(table) = as_table(item) {
        change_fields(table, &before, &after);
    }
}

/// A table, written out as one if it was in a line.
fn as_table(item: &mut Item) -> Option<&mut Table> {
    if !item.is_table() {
        *item = std::mem::take(item)
            .into_table()
            .map_or(Item::None, Item::Table);
    }
    item.as_table_mut()
}

/// Changes the list `name`, whose tables are those of `before` in their order: a
/// table whose thing is gone goes, others are changed, new ones follow.
fn change_list<T: PartialEq, K: PartialEq>(
    file: &mut Table,
    name: &str,
    before: &[T],
    after: &[T],
    key: impl Fn(&T) -> K,
    new: impl Fn(&T) -> Table,
    change: impl Fn(&mut Table, &T, &T),
) {
    let item = file.entry(name).or_insert_with(toml_edit::array);
    let mut list = match std::mem::take(item).into_array_of_tables() {
        Ok(list) => list,
        Err(_) => ArrayOfTables::new(),
    };
    let mut tables: Vec<Option<Table>> = list.iter().cloned().map(Some).collect();
    list.clear();
    let mut added: Vec<&T> = Vec::new();
    for thing in after {
        let place = before.iter().position(|it| key(it) == key(thing));
        let Some(place) = place else {
            added.push(thing);
            continue;
        };
        let Some(table) = tables.get_mut(place).and_then(Option::as_mut) else {
            continue;
        };
        if before[place] != *thing {
            change(table, &before[place], thing);
        }
    }
    for (place, thing) in before.iter().enumerate() {
        let is_there = after.iter().any(|it| key(it) == key(thing));
        if let (true, Some(table)) = (is_there, tables.get_mut(place).and_then(Option::take)) {
            list.push(table);
        }
    }
    for thing in added {
        list.push(new(thing));
    }
    *item = if list.is_empty() {
        Item::None
    } else {
        Item::ArrayOfTables(list)
    };
}

fn service_table(of: &Service) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    change_fields(&mut table, &Written::new(), &service(of));
    change_real_servers(&mut table, of.key, &[], &of.real_servers);
    table
}

fn change_service(table: &mut Table, before: &Service, after: &Service) {
    change_fields(table, &service(before), &service(after));
    change_real_servers(table, after.key, &before.real_servers, &after.real_servers);
}

fn change_real_servers(
    table: &mut Table,
    key: ServiceKey,
    before: &[RealServer],
    after: &[RealServer],
) {
    change_list(
        table,
        "real_server",
        before,
        after,
        |it| (it.address, it.port_in(&key)),
        |it| {
            let mut table = Table::new();
            change_fields(&mut table, &Written::new(), &real_server(&key, it));
            table
        },
        |table, before, after| {
            let (before, after) = (real_server(&key, before), real_server(&key, after));
            change_fields(table, &before, &after);
        },
    );
}

#[cfg(test)]
mod tests {
    use lvs_core::Scheduler;

    use super::super::Settings;
    use super::*;

    fn draft(text: &str) -> Draft {
        Settings::parse("f", text).unwrap().config.draft().clone()
    }

    /// The text after `change`, which must say what the change came to.
    fn after(text: &str, change: impl FnOnce(&mut Draft)) -> String {
        let before = draft(text);
        let mut after = before.clone();
        change(&mut after);
        let changed = changed(text, &before, &after).unwrap();
        assert_eq!(draft(&changed), after, "{changed}");
        changed
    }

    const FILE: &str = "\
# Mine.
director.interfaces = ['eth0'] # the only one

[[service]]
name = 'web'
address = '192.0.2.10:80'
protocol = 'tcp'
# The old one is slow.
[[service.real_server]]
address = '10.0.0.11'
forwarding = 'g' # as ever
weight = 3 # thrice
[[service.real_server]]
address = '10.0.0.12'
forwarding = 'g'

[[service]] # names
address = '192.0.2.10:53'
protocol = 'udp'
";

    #[test]
    fn what_has_not_changed_stays_as_it_is_written() {
        assert_eq!(after(FILE, |_| {}), FILE);
    }

    #[test]
    fn a_value_changes_in_its_place() {
        let text = after(FILE, |draft| {
            let real_server = &mut draft.services[0].real_servers[0];
            *real_server = real_server.clone().weight(5);
        });
        assert_eq!(text, FILE.replace("weight = 3 #", "weight = 5 #"));
    }

    #[test]
    fn things_go_and_come_and_the_rest_stays() {
        let text = after(FILE, |draft| {
            draft.services[0].real_servers.remove(0);
            draft.services.remove(1);
            draft.timeouts.udp = std::time::Duration::from_secs(77);
            let sctp = "[2001:db8::10]:9".parse().unwrap();
            let service = Service::new(Protocol::Sctp, sctp, Scheduler::MaglevHashing);
            let inside = "[2001:db8::11]:99".parse().unwrap();
            draft
                .services
                .push(service.real_server(RealServer::masquerade(inside).weight(0)));
        });
        assert!(text.starts_with("# Mine.\n"), "{text}");
        assert!(!text.contains("10.0.0.11"), "{text}");
        assert!(!text.contains("udp'"), "{text}");
        assert!(text.contains("udp = 77"), "{text}");
    }

    #[test]
    fn lists_in_a_line_are_written_out() {
        let text = "\
            director = { interfaces = ['eth0'] }\n\
            timeouts = { tcp = 5 }\n\
            service = [{ address = '192.0.2.10:80', protocol = 'tcp', real_server = [{ address = \
            '10.0.0.11', forwarding = 'm' }] }]\n";
        let text = after(text, |draft| {
            draft.timeouts.tcp = std::time::Duration::from_secs(6);
            let at = "10.0.0.12:8080".parse().unwrap();
            let real_servers = &mut draft.services[0].real_servers;
            real_servers.push(RealServer::masquerade(at));
        });
        assert!(text.contains("tcp = 6"), "{text}");
    }
}
