//! Counters of real servers and services that come and go.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lvs::Config;
use lvs::control::Operator;
use lvs::ipvsadm::{self, Control};
use lvs_core::Traffic;

use crate::{RIP, begin, masquerade, service, start};

#[test]
fn a_service_made_anew_counts_anew_at_once() {
    let (director, peers) = start(2, Config::new([service(masquerade())]).unwrap());
    begin(&peers, 1000..1010);
    // Until both workers have published.
    thread::sleep(Duration::from_millis(200));
    let counted = || director.stats().real_servers[0].traffic;
    assert_eq!(counted().connections, 10);
    director.apply(Config::new([]).unwrap()).unwrap();
    director
        .apply(Config::new([service(masquerade())]).unwrap())
        .unwrap();
    assert_eq!(counted(), Traffic::default());
    begin(&peers, 2000..2004);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(counted().connections, 4);
}

#[test]
fn a_service_keeps_the_counters_of_real_servers_that_come_and_go() {
    let (director, peers) = start(2, Config::new([service(masquerade())]).unwrap());
    let mut operator = Operator::new(Arc::new(director));
    let (key, at) = (
        service(masquerade()).key(),
        (IpAddr::from(RIP), 5353).into(),
    );
    // Of the service, of its real server, of all.
    let shown = |operator: &mut Operator| {
        // Until both workers have published.
        thread::sleep(Duration::from_millis(200));
        operator.tick();
        let total = operator.total().traffic().connections;
        let services = operator.services();
        let connections = |it: &ipvsadm::Service| {
            let real_server = it.real_servers.first();
            let of_it = real_server.map(|it| it.traffic.connections);
            (it.traffic.connections, of_it)
        };
        (services.first().map(connections), total)
    };
    begin(&peers, 1000..1010);
    assert_eq!(shown(&mut operator), (Some((10, Some(10))), 10));
    operator.delete_server(key, at).unwrap();
    assert_eq!(shown(&mut operator), (Some((10, None)), 10));
    operator.add_server(key, masquerade()).unwrap();
    begin(&peers, 2000..2003);
    assert_eq!(shown(&mut operator), (Some((13, Some(13))), 13));
    // What passed the moment before counts as well.
    begin(&peers, 2003..2005);
    operator.delete_server(key, at).unwrap();
    assert_eq!(shown(&mut operator), (Some((15, None)), 15));
    operator.add_server(key, masquerade()).unwrap();
    begin(&peers, 2005..2007);
    operator.delete_service(key).unwrap();
    assert_eq!(shown(&mut operator), (None, 17));
    let anew = Config::new([service(masquerade())]).unwrap();
    operator.replace(anew.draft().clone()).unwrap();
    begin(&peers, 3000..3002);
    assert_eq!(shown(&mut operator), (Some((2, Some(2))), 19));
}
