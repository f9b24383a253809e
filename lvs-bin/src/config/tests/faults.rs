//! Files that are wrong, and exactly what is said about them.

use super::Settings;

/// What is said about a file with this text.
fn said(text: &str) -> String {
    Settings::parse("lvs.toml", text).unwrap_err().to_string()
}

/// What is said about a file whose `[director]` is right.
fn said_of(services: &str) -> String {
    said(&format!("director.interfaces = [\"eth0\"]\n{services}"))
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_lines() {
    let text = r#"[director]
interfaces = ["eth0", "eth0"]
mode = "natve"
wokers = 2

[[service]]
address = "192.0.2.10"
protocol = "tcp"
sched = "rr"

[[service.real_server]]
address = "10.0.0.11:8080"
forwarding = "g"
weight = -1
"#;
    assert_eq!(
        said(text),
        r#"error: "eth0" is named twice, but an interface is served once
 --> lvs.toml:2:23 (director, interfaces)
  |
2 | interfaces = ["eth0", "eth0"]
  |                       ^^^^^^
  = help: remove one

error: mode is "natve", but must be one of auto, native, generic, packet
 --> lvs.toml:3:8 (director, mode)
  |
3 | mode = "natve"
  |        ^^^^^^^
  = help: did you mean "native"?

error: wokers is not a known field
 --> lvs.toml:4:1 (director, wokers)
  |
4 | wokers = 2
  | ^^^^^^
  = help: did you mean workers?

error: address is "192.0.2.10", but must be an IP address, a colon and a port
 --> lvs.toml:7:11 (service 1, address)
  |
7 | address = "192.0.2.10"
  |           ^^^^^^^^^^^^
  = help: add the port, as in "192.0.2.10:80"

error: sched is not a known field
 --> lvs.toml:9:1 (service 1, sched)
  |
9 | sched = "rr"
  | ^^^^^
  = help: did you mean scheduler?

error: address has port 8080, but only masquerading can change the port: the packet keeps its own
  --> lvs.toml:12:11 (service 1, real_server 1, address)
   |
12 | address = "10.0.0.11:8080"
   |           ^^^^^^^^^^^^^^^^
   = help: write address = "10.0.0.11", or forwarding = "masquerade"

error: weight is -1, but must be a whole number from 0 to 2147483647
  --> lvs.toml:14:10 (service 1, real_server 1, weight)
   |
14 | weight = -1
   |          ^^
   = help: shares are relative to the other real servers; 0 takes no new connections

lvs.toml: 7 faults"#
    );
}

#[test]
fn what_is_missing_is_told_at_its_table() {
    let text = "[[service]]\n[[service.real_server]]\n";
    assert_eq!(
        said_of(text),
        r#"error: address is missing
 --> lvs.toml:2:1 (service 1)
  |
2 | [[service]]
  | ^^^^^^^^^^^
  = help: say what it serves, as in address = "192.0.2.10:80" or mark = 1

error: protocol is missing
 --> lvs.toml:2:1 (service 1)
  |
2 | [[service]]
  | ^^^^^^^^^^^
  = help: say which, as in protocol = "tcp"

error: address is missing
 --> lvs.toml:3:1 (service 1, real_server 1)
  |
3 | [[service.real_server]]
  | ^^^^^^^^^^^^^^^^^^^^^^^
  = help: say where it is, as in address = "10.0.0.11"

error: forwarding is missing
 --> lvs.toml:3:1 (service 1, real_server 1)
  |
3 | [[service.real_server]]
  | ^^^^^^^^^^^^^^^^^^^^^^^
  = help: say how packets reach it, as in forwarding = "masquerade"

lvs.toml: 4 faults"#
    );
}

#[test]
fn an_empty_file_says_what_to_begin_with() {
    assert_eq!(
        said(""),
        "error: director is missing\n \
         --> lvs.toml:1:1\n  |\n1 | \n  | ^\n  \
         = help: add a section [director] with interfaces = [\"eth0\"]\n\n\
         lvs.toml: 1 fault"
    );
}

#[test]
fn something_given_twice_names_the_first() {
    let text = r#"[[service]]
address = "192.0.2.10:80"
protocol = "tcp"
real_server = [
  { address = "10.0.0.11", forwarding = "m" },
  { address = "10.0.0.11:80", forwarding = "m" },
]
[[service]]
address = "192.0.2.10:80"
protocol = "tcp"
"#;
    assert_eq!(
        said_of(text),
        r#"error: service TCP 192.0.2.10:80: real server 10.0.0.11:80 is given twice: remove one
 --> lvs.toml:7:15 (service 1, real_server 2, address)
  |
7 |   { address = "10.0.0.11:80", forwarding = "m" },
  |               ^^^^^^^^^^^^^^
  = help: the first is in line 6

error: service TCP 192.0.2.10:80 is given twice: join the two or change one's port
  --> lvs.toml:10:11 (service 2, address)
   |
10 | address = "192.0.2.10:80"
   |           ^^^^^^^^^^^^^^^
   = help: the first is in line 3

lvs.toml: 2 faults"#
    );
}

#[test]
fn real_servers_given_twice_are_told_with_all_other_faults() {
    let text = r#"[[service]]
address = "192.0.2.10"
protocol = "tcp"
real_server = [
  { address = "10.0.0.11", forwarding = "m" },
  { address = "10.0.0.11", forwarding = "x", weight = -1 },
]
[[service]]
address = "192.0.2.10:80"
protocol = "tcp"
real_server = [
  { address = "224.0.0.1", forwarding = "g" },
  { address = "224.0.0.1", forwarding = "g" },
]
"#;
    let faults = Settings::parse("f", &format!("director.interfaces = ['e']\n{text}"));
    let faults = faults.unwrap_err();
    let twice = faults
        .faults()
        .iter()
        .filter(|fault| fault.what.contains("given twice"));
    let told: Vec<_> = twice
        .map(|fault| (fault.line, fault.help.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (7, "the first is in line 6"),
            (14, "the first is in line 13")
        ]
    );
    assert_eq!(faults.faults().len(), 6, "{faults}");
}

#[test]
fn a_port_without_brackets_before_it_is_put_behind_brackets() {
    let help = |address: &str| {
        let text = format!(
            "director.interfaces = ['e']\nservice = [{{ address = '{address}', protocol = 'tcp' }}]"
        );
        Settings::parse("f", &text).unwrap_err().faults()[0]
            .help
            .clone()
    };
    assert_eq!(
        help("2001:db8::1:80"),
        r#"write "[2001:db8::1]:80", or "[2001:db8::1:80]:80" if all of it is the address"#
    );
    assert_eq!(
        help("2001:db8:1:2:3:4:5:6:443"),
        r#"write it as in "[2001:db8:1:2:3:4:5:6]:443""#
    );
    assert_eq!(
        help("2001:db8::10"),
        r#"add the port, as in "[2001:db8::10]:80""#
    );
}

#[test]
fn the_families_are_told_by_name() {
    let text = "[[service]]\naddress = '[2001:db8::10]:53'\nprotocol = 'udp'\n\
                real_server = [{ address = '10.0.0.11', forwarding = 'm' }]";
    let said = said_of(text);
    let help = "help: write its IPv6 address, move it to a service with an IPv4 address, or reach it \
                by a tunnel";
    assert!(said.contains(help), "{said}");
}

#[test]
fn a_file_that_is_no_text_is_told_from_where_on() {
    let path = std::env::temp_dir().join(format!("lvs-no-text-{}.toml", std::process::id()));
    std::fs::write(&path, b"[director]\n# caf\xe9\n").unwrap();
    let told = Settings::read(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        told.faults()[0].what,
        "the file is not text in UTF-8, from line 2 on"
    );
}

#[test]
fn rules_of_services_are_told_at_the_address_that_breaks_them() {
    let text = r#"[[service]]
address = "192.0.2.10:80"
protocol = "tcp"
real_server = [
  { address = "2001:db8::1", forwarding = "m" },
  { address = "224.0.0.1", forwarding = "g" },
]
[[service]]
address = "192.0.2.10:0"
protocol = "tcp"
"#;
    let faults = Settings::parse("f", &format!("director.interfaces = ['e']\n{text}"));
    let faults = faults.unwrap_err();
    let told: Vec<_> = faults
        .faults()
        .iter()
        .map(|fault| (fault.line, fault.column, fault.what.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                6,
                15,
                "service TCP 192.0.2.10:80: real server 2001:db8::1 must be of the service's address family: only a tunnel leads to the other"
            ),
            (
                7,
                15,
                "real server 224.0.0.1: the address must be a unicast address"
            ),
            (
                10,
                11,
                "service TCP 192.0.2.10:0: the port must be 1 to 65535: only a persistent service may have port 0, which is every port"
            ),
        ]
    );
}

#[test]
fn what_is_not_toml_is_told_alone() {
    let text = "[director]\ninterfaces = [eth0]\nmood = 1\nmood = 2\n";
    assert_eq!(
        said(text),
        r#"error: this is not TOML: string values must be quoted, expected literal string
 --> lvs.toml:2:15
  |
2 | interfaces = [eth0]
  |               ^^^^
  = help: see https://toml.io for how values, tables and lists are written

error: this is not TOML: duplicate key
 --> lvs.toml:4:1
  |
4 | mood = 2
  | ^^^^
  = help: see https://toml.io for how values, tables and lists are written

lvs.toml: 2 faults"#
    );
}

#[test]
fn values_of_another_type_are_told_with_the_type_wanted() {
    let text = r#"interfaces = "eth0"
workers = 1.5
connections = 0
mode = 3
"#;
    assert_eq!(
        said(&format!("service = 1\n[director]\n{text}")),
        r#"error: service must be a list of tables
 --> lvs.toml:1:11 (service)
  |
1 | service = 1
  |           ^
  = help: write [[service]], with two brackets

error: interfaces is "eth0" (string), but must be a list of texts
 --> lvs.toml:3:14 (director, interfaces)
  |
3 | interfaces = "eth0"
  |              ^^^^^^
  = help: put it in brackets, as in ["eth0"]

error: workers is 1.5, but must be a whole number from 1 to 255
 --> lvs.toml:4:11 (director, workers)
  |
4 | workers = 1.5
  |           ^^^
  = help: leave it out for one worker per processor

error: connections is 0, but must be a whole number from 1 to 1000000000
 --> lvs.toml:5:15 (director, connections)
  |
5 | connections = 0
  |               ^
  = help: each takes some 200 bytes of memory, used or not

error: mode is 3 (integer), but must be a text
 --> lvs.toml:6:8 (director, mode)
  |
6 | mode = 3
  |        ^
  = help: put it in quotes, as in "3"

lvs.toml: 5 faults"#
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let told = Settings::read("/nonexistent/lvs.toml").unwrap_err();
    assert_eq!(
        told.to_string(),
        "error: the file cannot be read: No such file or directory (os error 2)\n \
         --> /nonexistent/lvs.toml\n  \
         = help: give the path of a readable file\n\n\
         /nonexistent/lvs.toml: 1 fault"
    );
}

#[test]
fn a_file_cut_or_damaged_anywhere_is_an_answer() {
    let text = include_str!("../../../lvs.example.toml").replace("web", "wéb");
    for (cut, _) in text.char_indices() {
        let (before, after) = text.split_at(cut);
        let _ = Settings::parse("cut", before);
        let damaged = format!("{before}]{after}");
        let _ = Settings::parse("damaged", &damaged).map_err(|faults| faults.to_string());
    }
}
