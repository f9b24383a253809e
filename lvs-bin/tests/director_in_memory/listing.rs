//! Listing connections while the director directs.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lvs::control::Operator;
use lvs::ipvsadm::Control;
use lvs::{Config, Director, ListError, Protocol};

use crate::{CLIENT, RIP, VIP, begin, masquerade, service, start};

/// The ports of the client that are listed.
fn listed(director: &Director) -> Vec<u16> {
    let pages = director
        .connection_pages()
        .map(|page| page.unwrap().connections);
    pages.flatten().map(|it| it.flow.source_port).collect()
}

#[test]
fn lists_the_connections_of_all_workers() {
    let (director, peers) = start(2, Config::new([service(masquerade())]).unwrap());
    begin(&peers, 1000..1100);
    // Long past the last frame.
    thread::sleep(Duration::from_millis(20));
    let page = director.connections(0, 0).unwrap();
    let connection = &page.connections[0];
    assert_eq!(connection.flow.destination(), (VIP.into(), 53));
    assert_eq!(
        (connection.address, connection.port),
        (IpAddr::from(RIP), 5353)
    );
    assert_eq!(page.next, None);
    let mut ports = listed(&director);
    ports.sort_unstable();
    assert!(ports.into_iter().eq(1000..1100));
    let refused = director.connections(2, 0).unwrap_err();
    let no_such = ListError::NoSuchWorker {
        worker: 2,
        workers: 2,
    };
    assert_eq!(refused, no_such);
    let operator = Operator::new(Arc::new(director));
    let mut connections = operator.connections();
    connections.sort_by_key(|it| it.client);
    assert_eq!(connections.len(), 100);
    let first = &connections[0];
    assert_eq!(first.client, (IpAddr::from(CLIENT), 1000).into());
    assert_eq!(first.service, (IpAddr::from(VIP), 53).into());
    assert_eq!(first.destination, (IpAddr::from(RIP), 5353).into());
    assert_eq!(
        (first.protocol, &*first.state),
        (Some(Protocol::Udp), "UDP")
    );
    assert!((290..=300).contains(&first.expires), "{}", first.expires);
}

#[test]
fn lists_connections_while_others_begin() {
    let (director, peers) = start(1, Config::new([service(masquerade())]).unwrap());
    begin(&peers, 1000..4000);
    let listings = thread::scope(|scope| {
        // Two who ask the same worker.
        let readers = [(); 2].map(|()| {
            scope.spawn(|| -> Vec<Vec<u16>> { (0..5).map(|_| listed(&director)).collect() })
        });
        let mut next = 4000..u16::MAX;
        while readers.iter().any(|reader| !reader.is_finished()) {
            let port = next.next().unwrap();
            begin(&peers, port..port + 1);
        }
        readers.map(|reader| reader.join().unwrap()).concat()
    });
    for mut ports in listings {
        ports.sort_unstable();
        assert!(ports.is_sorted_by(|a, b| a < b), "one is listed twice");
        assert!(ports.into_iter().take(3000).eq(1000..4000));
    }
    assert_eq!(director.stats().drops().count(), 0);
}
