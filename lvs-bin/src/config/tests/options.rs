//! What a service has beside its address and its real servers, and the
//! director's own settings.

use std::time::Duration;

use lvs_core::config::{ClientMask, SchedulerFlags, Setting, Thresholds};
use lvs_core::{Persistence, Service};

use super::{Settings, refused};

/// The service of a file that has one, on this address and protocol, with these
/// options.
fn service(address: &str, protocol: &str, options: &str) -> Service {
    let text = format!(
        "director.interfaces = ['eth0']\n\
         [[service]]\naddress = '{address}'\nprotocol = '{protocol}'\n{options}"
    );
    let read = Settings::parse("lvs.toml", &text).unwrap();
    read.config.services()[0].clone()
}

#[test]
fn persistence_is_seconds_and_what_counts_of_a_client() {
    let kept = |address, options| service(address, "tcp", options).persistence;
    let (four, six) = ("192.0.2.10:80", "[2001:db8::10]:80");
    let hour = Persistence::new(Duration::from_secs(3600));
    assert_eq!(kept(four, ""), None);
    assert_eq!(kept(four, "persistent = 3600"), Some(hour));
    let mask = hour.mask(ClientMask::V4([255, 255, 0, 255].into()));
    let options = "persistent = 3600\nmask = '255.255.0.255'";
    assert_eq!(kept(four, options), Some(mask));
    let mask = hour.mask(ClientMask::V6(56));
    assert_eq!(kept(six, "persistent = 3600\nmask = 56"), Some(mask));
    let longest = Persistence::new(Duration::from_secs(31 * 86_400));
    assert_eq!(kept(four, "persistent = 2678400"), Some(longest));
    let every = service("192.0.2.10:0", "tcp", "persistent = 1");
    assert_eq!(every.key.port(), 0, "every port, as it is persistent");
}

#[test]
fn packets_are_scheduled_by_themselves_where_it_says_so() {
    let one_packet = |options| service("192.0.2.10:53", "udp", options).one_packet;
    assert!(one_packet("one_packet = true"));
    assert!(!one_packet("one_packet = false"));
    assert!(!one_packet(""));
}

#[test]
fn flags_are_known_by_each_of_their_names() {
    let flags = |names| service("192.0.2.10:80", "tcp", names).flags;
    let (fallback, port, third) = (true, true, true);
    let all = SchedulerFlags {
        fallback,
        port,
        third,
    };
    for names in [
        "flags = ['fallback', 'port', 'flag-3']",
        "flags = ['sh-fallback', 'sh-port', 'flag-3']",
        "flags = ['flag-3', 'mh-port', 'mh-fallback']",
    ] {
        assert_eq!(flags(names), all, "{names}");
    }
    let port = SchedulerFlags {
        port,
        ..SchedulerFlags::default()
    };
    assert_eq!(flags("flags = ['port']"), port);
    assert_eq!(flags(""), SchedulerFlags::default());
}

#[test]
fn thresholds_are_two_numbers() {
    let thresholds = |given: &str| {
        let real_server =
            format!("real_server = [{{ address = '10.0.0.1', forwarding = 'g'{given} }}]");
        service("192.0.2.10:80", "tcp", &real_server).real_servers[0].thresholds
    };
    let (upper, lower) = (100, 80);
    let both = Thresholds { upper, lower };
    assert_eq!(
        thresholds(", upper_threshold = 100, lower_threshold = 80"),
        both
    );
    let lower = 0;
    assert_eq!(
        thresholds(", upper_threshold = 100"),
        Thresholds { upper, lower }
    );
    assert_eq!(thresholds(""), Thresholds::default());
}

#[test]
fn a_service_has_settings_of_its_own_over_the_directors() {
    let text = "director.interfaces = ['eth0']
        [[service]]
        address = '192.0.2.10:80'
        protocol = 'tcp'
        settings = { sloppy_tcp = 1, conn_reuse_mode = 0 }
        [settings]
        conn_reuse_mode = 2
        am_droprate = -1";
    let read = Settings::parse("lvs.toml", text).unwrap();
    let all = read.config.settings();
    let own = &read.config.services()[0].settings;
    let both = |setting| (all.get(setting), own.get(setting));
    assert_eq!(both(Setting::SloppyTcp), (0, Some(1)));
    assert_eq!(both(Setting::ConnReuseMode), (2, Some(0)));
    assert_eq!(both(Setting::AmDropRate), (-1, None));
}

#[test]
fn every_setting_is_read_by_its_name() {
    let read = |text: &str| {
        let text = format!("director.interfaces = ['eth0']\n[settings]\n{text}");
        Settings::parse("lvs.toml", &text).unwrap().config
    };
    let is_named = |setting: &Setting| *setting != Setting::SyncPeriod;
    for setting in Setting::ALL.into_iter().filter(is_named) {
        let (least, _) = setting.range();
        let name = setting.name();
        let config = read(&format!("{name} = {least}"));
        assert_eq!(config.settings().get(setting), least, "{name}");
    }
    assert_eq!(
        read("est_cpulist = '8,0-3'")
            .draft()
            .sysctl("est_cpulist")
            .as_deref(),
        Some("0-3,8")
    );
    for (text, pair) in [
        ("9", "9\t50"),
        ("'9'", "9\t50"),
        ("'9 0'", "9\t0"),
        ("'3\t4'", "3\t4"),
    ] {
        let config = read(&format!("sync_threshold = {text}"));
        let set = config.draft().sysctl("sync_threshold");
        assert_eq!(set.as_deref(), Some(pair), "{text}");
    }
}

/// What the example shows behind "# " to be taken away.
#[test]
fn what_the_example_leaves_out_is_right_as_well() {
    let (_, left_out) = include_str!("../../../lvs.example.toml")
        .split_once("# Everything below is left out here")
        .unwrap();
    let is_toml = |line: &&str| {
        let is_field = line.split(' ').nth(1) == Some("=");
        line.starts_with(['[', '#']) || is_field
    };
    let lines = left_out.lines().filter_map(|line| line.strip_prefix("# "));
    let mut text = "director.interfaces = ['eth0']\n".to_owned();
    lines
        .filter(is_toml)
        .for_each(|line| text += &format!("{line}\n"));
    let read = Settings::parse("lvs.example.toml", &text).unwrap();
    let services = read.config.services();
    assert_eq!(services.len(), 3, "{text}");
    assert!(
        services
            .iter()
            .all(|service| service.real_servers.len() == 1)
    );
    assert!(services[0].persistence.is_some() && services[1].one_packet);
    assert_eq!(services[2].key.address(), None, "on a mark");
    assert_eq!(read.config.classifier().rules.len(), 1);
    // Every setting is there, by its kernel's default.
    let (_, settings) = left_out.split_once("# [settings]").unwrap();
    let given = |name: &str| {
        let mut lines = settings.lines();
        lines.any(|line| line.starts_with(&format!("# {name} = ")))
    };
    let kernels = Settings::parse("lvs.toml", "director.interfaces = ['eth0']").unwrap();
    let all = Setting::ALL.into_iter().map(Setting::name);
    for name in all
        .filter(|name| *name != "sync_period")
        .chain(["est_cpulist"])
    {
        assert!(given(name), "{name}");
        let value = |settings: &Settings| settings.config.draft().sysctl(name);
        assert_eq!(value(&read), value(&kernels), "{name}");
    }
}

#[test]
fn options_are_refused_for_each_of_them() {
    let said = |address: &str, options: &str| {
        let service = format!("address = '{address}'\nprotocol = 'tcp'");
        refused(&format!("[[service]]\n{service}\n{options}"))
    };
    for (options, told) in OPTIONS {
        assert_eq!(said("192.0.2.10:80", options), [told], "{options}");
    }
    for (options, told) in OF_IPV6 {
        assert_eq!(said("[2001:db8::1]:80", options), [told], "{options}");
    }
    for (settings, told) in OF_THE_DIRECTOR {
        assert_eq!(refused(settings), [told], "{settings}");
    }
}

/// Options of a TCP service over IPv4, and what is said about them.
const OPTIONS: [(&str, &str); 20] = [
    (
        "persistent = 0",
        "service 1, persistent: persistent is 0, but must be a whole number from 1 to \
         2678400; seconds from a client's last new connection; leave it out for none",
    ),
    (
        "persistent = 2678401",
        "service 1, persistent: persistent is 2678401, but must be a whole number from 1 to \
         2678400; seconds from a client's last new connection; leave it out for none",
    ),
    (
        "persistent = '1h'",
        "service 1, persistent: persistent is '1h', but must be a whole number from 1 to \
         2678400; seconds from a client's last new connection; leave it out for none",
    ),
    (
        "mask = '255.255.255.0'",
        "service 1, mask: mask is given, but the service is not persistent; add persistent = \
         360, or remove it",
    ),
    (
        "persistent = 1\nmask = 'wide'",
        "service 1, mask: mask is \"wide\", but must be an IPv4 mask; write the bits that \
         count, as in mask = \"255.255.255.0\"",
    ),
    (
        "persistent = 1\nmask = 24",
        "service 1, mask: mask is 24 (integer), but must be a text; put it in quotes, as in \
         \"24\"",
    ),
    (
        "one_packet = 1",
        "service 1, one_packet: one_packet is 1, but must be true or false; write one_packet \
         = true, without quotes",
    ),
    (
        "one_packet = true",
        "service 1, address: service TCP 192.0.2.10:80: one-packet scheduling is for UDP and \
         firewall marks only; remove one_packet, or write protocol = \"udp\"",
    ),
    (
        "flags = ['sh-ports']",
        "service 1, flags: flags has \"sh-ports\", but knows fallback, port, flag-3 only; \
         write one of them, or remove it",
    ),
    (
        "flags = 'port'",
        "service 1, flags: flags is 'port' (string), but must be a list of texts; put it in \
         brackets, as in ['port']",
    ),
    (
        "settings = 1",
        "service 1, settings: settings is 1 (integer), but must be a table; begin it with a \
         line [service.settings]",
    ),
    (
        "settings = { sloppy_udp = 1 }",
        "service 1, settings, sloppy_udp: sloppy_udp is not a known field; did you mean \
         sloppy_tcp?",
    ),
    (
        "settings = { sloppy_tcp = 'on' }",
        "service 1, settings, sloppy_tcp: sloppy_tcp is 'on', but must be a whole number from \
         -2147483648 to 2147483647; leave it out for 0",
    ),
    (
        "settings = { drop_entry = 4 }",
        "service 1, settings, drop_entry: drop_entry is 4, but must be a whole number from 0 \
         to 3; leave it out for 0",
    ),
    (
        "settings = { sync_ports = 3 }",
        "service 1, settings, sync_ports: sync_ports is the whole director's: no service has \
         its own; write it below [settings]",
    ),
    (
        "settings = { est_cpulist = '0' }",
        "service 1, settings, est_cpulist: est_cpulist is the whole director's: no service has \
         its own; write it below [settings]",
    ),
    (
        "real_server = [{ address = '10.0.0.1', forwarding = 'g', upper_threshold = -1 }]",
        "service 1, real_server 1, upper_threshold: upper_threshold is -1, but must be a \
         whole number from 0 to 2147483647; connections; leave it out for no limit",
    ),
    (
        "real_server = [{ address = '10.0.0.1', forwarding = 'g', lower_threshold = \
         2147483648 }]",
        "service 1, real_server 1, lower_threshold: lower_threshold is 2147483648, but must \
         be a whole number from 0 to 2147483647; connections; leave it out for three \
         quarters of the upper one",
    ),
    (
        "real_server = [{ address = '10.0.0.1', forwarding = 'g', upper_threshold = 1, \
         lower_threshold = 2 }]",
        "service 1, real_server 1, address: real server 10.0.0.1: lower threshold 2 must not \
         be above the upper, 1; lower one, or raise upper_threshold",
    ),
    (
        "real_server = [{ address = '10.0.0.1', forwarding = 'g', lower_threshold = 2 }]",
        "service 1, real_server 1, address: real server 10.0.0.1: lower threshold 2 must not \
         be above the upper, 0; lower one, or raise upper_threshold",
    ),
];

/// The same over IPv6.
const OF_IPV6: [(&str, &str); 4] = [
    (
        "persistent = 1\nmask = '255.255.255.0'",
        "service 1, mask: mask is '255.255.255.0', but must be a whole number from 1 to 128; \
         the leading bits that count of a client's address",
    ),
    (
        "persistent = 1\nmask = 0",
        "service 1, mask: mask is 0, but must be a whole number from 1 to 128; the leading \
         bits that count of a client's address",
    ),
    (
        "persistent = 1\nmask = 129",
        "service 1, mask: mask is 129, but must be a whole number from 1 to 128; the leading \
         bits that count of a client's address",
    ),
    (
        "mask = 64",
        "service 1, mask: mask is given, but the service is not persistent; add persistent = \
         360, or remove it",
    ),
];

/// Settings of the director, and what is said about them.
const OF_THE_DIRECTOR: [(&str, &str); 9] = [
    (
        "[settings]\nsloppy_udp = 1",
        "settings, sloppy_udp: sloppy_udp is not a known field; did you mean sloppy_tcp?",
    ),
    (
        "[settings]\nam_droprate = 2147483648",
        "settings, am_droprate: am_droprate is 2147483648, but must be a whole number from \
         -2147483648 to 2147483647; leave it out for 10",
    ),
    (
        "[settings]\nsync_ports = 5",
        "settings, sync_ports: sync_ports = 5: must be 1 to 1073741824 and a power of two; \
         leave it out for 1",
    ),
    (
        "settings = 3",
        "settings: settings is 3 (integer), but must be a table; begin it with a line \
         [settings]",
    ),
    (
        "[settings]\nest_cpulist = '3-1'",
        "settings, est_cpulist: est_cpulist is \"3-1\", but must be a list of processors; write \
         it as in est_cpulist = \"0-3,8\"",
    ),
    (
        "[settings]\nsync_period = 3",
        "settings, sync_period: sync_period is not a known field; did you mean sync_version?",
    ),
    (
        "[settings]\nsync_threshold = 50",
        "settings, sync_threshold: sync_threshold is 50, but must be a number below its period, \
         50, or both of them; write both as in sync_threshold = \"3 50\"",
    ),
    (
        "[settings]\nsync_threshold = '5 3'",
        "settings, sync_threshold: sync_threshold is '5 3', but must be a number below its \
         period, 50, or both of them; write both as in sync_threshold = \"3 50\"",
    ),
    (
        "[settings]\nsync_threshold = ''",
        "settings, sync_threshold: sync_threshold is '', but must be a number below its \
         period, 50, or both of them; write both as in sync_threshold = \"3 50\"",
    ),
];
