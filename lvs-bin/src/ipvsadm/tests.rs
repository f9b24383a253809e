//! Whole command lines against a table without traffic.

use std::net::SocketAddr;

use lvs_core::config::SchedulerFlags;
use lvs_core::{Network, Persistence, ServiceKey, Timeouts, Traffic};

use super::*;
use crate::control::Table;

/// A director that only has a configuration, and that knows the engine `sip`
/// by name.
#[derive(Default)]
struct Desk {
    table: Table,
    network: Network,
    engines: Vec<(ServiceKey, String)>,
}

impl Control for Desk {
    fn add_service(&mut self, mut service: ServiceRequest) -> Result<(), KernelError> {
        let key = service.key;
        let engine = service.engine.take_if(|name| name == "sip");
        self.table.add_service(&service)?;
        self.engines.extend(engine.map(|name| (key, name)));
        Ok(())
    }

    fn edit_service(&mut self, service: ServiceRequest) -> Result<(), KernelError> {
        self.table.edit_service(&service)
    }

    fn delete_service(&mut self, key: ServiceKey) -> Result<(), KernelError> {
        self.table.delete_service(key)
    }

    fn flush(&mut self) -> Result<(), KernelError> {
        self.table.flush();
        Ok(())
    }

    fn zero(&mut self, key: Option<ServiceKey>) -> Result<(), KernelError> {
        let mut services = self.table.draft().services.iter();
        match key {
            Some(key) if !services.any(|service| service.key == key) => Err(KernelError::NoSuch),
            _ => Ok(()),
        }
    }

    fn add_server(
        &mut self,
        key: ServiceKey,
        real_server: lvs_core::RealServer,
    ) -> Result<(), KernelError> {
        self.table.add_server(key, real_server, &self.network)
    }

    fn edit_server(
        &mut self,
        key: ServiceKey,
        real_server: lvs_core::RealServer,
    ) -> Result<(), KernelError> {
        self.table.edit_server(key, real_server)
    }

    fn delete_server(&mut self, key: ServiceKey, at: SocketAddr) -> Result<(), KernelError> {
        self.table.delete_server(key, at)
    }

    fn set_timeouts(&mut self, seconds: [u32; 3]) -> Result<(), KernelError> {
        self.table.set_timeouts(seconds);
        Ok(())
    }

    fn start_daemon(&mut self, daemon: Daemon) -> Result<(), KernelError> {
        let carries = (daemon.interface == "rs0").then_some(1500);
        self.table.start_daemon(daemon, carries)
    }

    fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), KernelError> {
        self.table.stop_daemon(role)
    }

    fn services(&self) -> Vec<Service> {
        let services = self.table.draft().services.iter();
        services
            .map(|service| Service {
                key: service.key,
                scheduler: service.scheduler.name().to_owned(),
                flags: service.flags,
                one_packet: service.one_packet,
                persistence: service.persistence,
                engine: (self.engines.iter().find(|(key, _)| *key == service.key))
                    .map(|(_, name)| name.clone()),
                traffic: Traffic::default(),
                rates: Traffic::default(),
                real_servers: service.real_servers.iter().rev().map(idle).collect(),
            })
            .collect()
    }

    fn connections(&self) -> Vec<Connection> {
        Vec::new()
    }

    fn timeouts(&self) -> Timeouts {
        self.table.draft().timeouts
    }

    fn daemons(&self) -> Vec<Daemon> {
        self.table.daemons().iter().cloned().collect()
    }

    fn table_size(&self) -> u32 {
        4096
    }
}

/// A real server without connections.
fn idle(real_server: &lvs_core::RealServer) -> RealServer {
    RealServer {
        address: SocketAddr::new(real_server.address, real_server.port),
        forwarding: real_server.forwarding,
        weight: real_server.share().get(),
        thresholds: real_server.thresholds,
        active: 0,
        inactive: 0,
        persistent: 0,
        traffic: Traffic::default(),
        rates: Traffic::default(),
    }
}

fn run_with(desk: &mut Desk, line: &str, stdin: &str) -> Output {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let names = NameFiles::new("127.0.0.1 localhost\n", "http 80/tcp\nhttp-alt 8080/tcp\n");
    main_with(&words, &mut stdin.as_bytes(), desk, &names)
}

/// Exit status, and what was said.
fn told(desk: &mut Desk, line: &str) -> (u8, String) {
    let output = run_with(desk, line, "");
    (output.status, output.stderr + &output.stdout)
}

/// Lines with the status and text they ended in on Linux 6.12.117 with
/// ipvsadm 1.31, in the order they were given.
const LINES: &str = include_str!("tests.txt");

#[test]
fn lines_end_as_they_ended_there() {
    let mut desk = Desk::default();
    for case in LINES.lines().filter(|line| !line.is_empty()) {
        let (line, ended) = case.split_once(" => ").unwrap();
        let (status, text) = told(&mut desk, line);
        let text = text.trim_end().replace('\n', "|");
        assert_eq!(
            format!("{status} {text}").trim_end(),
            ended.trim_end(),
            "{line}"
        );
    }
}

#[test]
fn what_is_saved_restores_the_same() {
    let mut desk = Desk::default();
    let lines = "-A -t 10.0.0.1:80 -s sh -p 60 -M 255.255.0.0 -b sh-port\n\
         -a -t 10.0.0.1:80 -r 10.0.0.2:8080 -m -w 0\n\
         -a -t 10.0.0.1:80 -r [2001:db8::1]:80 -i -w 2 --tun-type gue --tun-port 6080 --tun-csum\n\
         -A -u 10.0.0.1:53 -s rr --pe sip -o\n\
         -A -f 8 -6 -s rr -p 100 -M 64\n";
    assert_eq!(run_with(&mut desk, "-R", lines), Output::default());
    let saved = run_with(&mut desk, "-Sn", "").stdout;
    assert_eq!(saved, lines);
    assert_eq!(run_with(&mut desk, "-C", ""), Output::default());
    desk.engines.clear();
    assert_eq!(run_with(&mut desk, "-R", &saved), Output::default());
    assert_eq!(run_with(&mut desk, "-Sn", "").stdout, saved);
}

#[test]
fn a_restore_ends_where_a_line_makes_no_sense() {
    let mut desk = Desk::default();
    let mut restored = |lines: &str| {
        let Output { stderr, status, .. } = run_with(&mut desk, "-R", lines);
        let count = desk.table.draft().services.len();
        desk.table.flush();
        (status, stderr.trim_end().to_owned(), count)
    };
    let help = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.";
    assert_eq!(restored("# c\n-A -f 1\n"), (255, help.into(), 0));
    let twice = "ipvsadm -A -f 1\n-A -f 1\n  -A\t-f 2\r\n\n";
    assert_eq!(restored(twice), (0, "Service already exists".into(), 2));
    let misread = "-A -f 1 -x\n-A -f 2";
    assert_eq!(restored(misread), (0, "-x: missing argument".into(), 1));
    let unexpected = "-A -f 1 # c\n-A -f 2\n";
    assert_eq!(restored(unexpected), (2, "unexpected argument #".into(), 0));
    assert_eq!(restored("-A -f 1\n-R\n-A -f 2\n"), (255, help.into(), 1));
    assert_eq!(
        restored("-L -f 9\n-A -f 2\n"),
        (1, "No such service".into(), 0)
    );
}

#[test]
fn masks_count_only_with_persistence() {
    let mut desk = Desk::default();
    assert_eq!(told(&mut desk, "-A -f 1 -M 255.0.0.0"), (0, String::new()));
    let service = &desk.table.draft().services[0];
    assert_eq!(service.persistence, None::<Persistence>);
    assert_eq!(service.flags, SchedulerFlags::default());
}
