//! The director's host.

use lvs::doctor::Severity::{Fault, Warning};
use lvs::lvs_io::netlink::{Prefix, Route, VethEnd};
use lvs::lvs_io::{Options, Queues, WantedMode};
use lvs::world::traffic::{Offer, Server};
use lvs::world::{Family, Method, Plan};

use crate::clinic::{Clinic, assert_said, assert_well};

/// What depends on the machine that the test runs on.
const OF_THE_MACHINE: [&str; 1] = ["memory"];

#[test]
fn nothing_is_said_where_all_is_well() {
    for method in [Method::Masquerade, Method::DirectRoute, Method::Tunnel] {
        let Some(clinic) = Clinic::whole(method) else {
            return;
        };
        assert_well(&clinic.of_director(), &OF_THE_MACHINE);
    }
}

#[test]
fn an_interface_that_is_down_or_not_there() {
    let Some(mut clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    clinic.director().set_down("front0").unwrap();
    let said = clinic.of_director();
    let mend = "ip link set dev front0 up";
    assert_said(&said, "interfaces", Fault, "front0 is down", mend);
    clinic.text = clinic.text.replace("[\"front0\"]", "[\"eth7\"]");
    let said = clinic.of_director();
    assert_said(&said, "interfaces", Fault, "eth7", "ip -br link");
}

#[test]
fn a_driver_that_does_not_run_xdp() {
    let Some(mut clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    // A veth with fewer queues than its other end sends by.
    let mut network = clinic.director();
    let ends = [VethEnd::new("odd0"), VethEnd::new("odd1").queues(2)];
    network.add_veth(&ends[0], &ends[1]).unwrap();
    network.set_up("odd0").unwrap();
    network.set_up("odd1").unwrap();
    let links = "interfaces = [\"front0\", \"odd0\"]";
    clinic.text = clinic.text.replace("interfaces = [\"front0\"]", links);
    let said = clinic.of_director();
    let mend = "ethtool -L OTHER_END tx 1";
    assert_said(&said, "driver", Warning, "odd0: veth does not run", mend);
    let native = "workers = 1\nmode = \"native\"";
    clinic.text = clinic.text.replace("workers = 1", native);
    let said = clinic.of_director();
    assert_said(&said, "driver", Fault, "lvs does not start", mend);
}

#[test]
fn an_interface_that_another_program_has() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let mut options = Options::new(["front0"]);
    options.mode = WantedMode::Native;
    let opened = clinic
        .world
        .director()
        .run(|| Queues::open(&options).map_err(std::io::Error::other));
    let queues = opened.unwrap();
    let kill = format!("kill {}", std::process::id());
    let said = clinic.of_director();
    assert_said(
        &said,
        "driver",
        Fault,
        "has an XDP program on front0",
        &kill,
    );
    drop(queues);
    assert_well(&clinic.of_director(), &OF_THE_MACHINE);
}

#[test]
fn more_workers_than_queues() {
    let Some(mut clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    clinic.text = clinic.text.replace("workers = 1", "workers = 2");
    let said = clinic.of_director();
    let mend = "ethtool -L front0 combined 2";
    assert_said(
        &said,
        "queues",
        Fault,
        "workers = 2, but front0 has 1",
        mend,
    );
}

#[test]
fn a_vip_that_is_not_there_or_only_on_lo() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let mut network = clinic.director();
    for family in Family::BOTH {
        let vip = Prefix::host(Plan::vip(family));
        network.remove_address("front0", vip).unwrap();
        let said = clinic.of_director();
        let mend = format!("ip addr add {vip} dev front0");
        assert_said(&said, "vips", Fault, "Nobody here has the VIP", &mend);
        network.add_address("lo", vip).unwrap();
    }
    clinic
        .world
        .director()
        .set("ipv4/conf/all/arp_ignore", "1")
        .unwrap();
    let said = clinic.of_director();
    for (family, why) in [(Family::V4, "arp_ignore is set"), (Family::V6, "IPv6")] {
        let mend = format!("ip addr add {} dev front0", Prefix::host(Plan::vip(family)));
        assert_said(&said, "vips", Warning, why, &mend);
    }
}

#[test]
fn a_program_on_a_service_s_port() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let web = Plan::web(Family::V4);
    let offer = [Offer::TcpEcho(web)];
    let server = Server::start(clinic.world.director(), "apache", &offer).unwrap();
    let said = clinic.of_director();
    let words = format!("where the service TCP {web} is");
    let mend = "ss -lnp --tcp sport = :80";
    assert_said(&said, "ports", Warning, &words, mend);
    drop(server);
    assert_well(&clinic.of_director(), &OF_THE_MACHINE);
}

#[test]
fn a_real_server_and_a_gateway_that_do_not_answer() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    clinic.server().network().unwrap().set_down("lan0").unwrap();
    let outside = clinic.world.router().unwrap();
    outside.network().unwrap().set_down("front0").unwrap();
    let said = clinic.of_director();
    for family in Family::BOTH {
        let rip = clinic.world.real_servers()[0].rip(family);
        let words = format!("The real server {rip} does not answer on front0");
        let mend = format!("ip neigh show to {rip} dev front0");
        assert_said(&said, "neighbours", Fault, &words, &mend);
    }
    let words = "The gateway 192.0.2.2 does not answer";
    assert_said(
        &said,
        "neighbours",
        Fault,
        words,
        "arping -c 3 -I front0 192.0.2.2",
    );
}

#[test]
fn a_real_server_to_which_no_way_leads() {
    let Some(mut clinic) = Clinic::whole(Method::Masquerade) else {
        return;
    };
    let both = clinic.text.clone();
    clinic.text = both.replace("\"front0\", \"back0\"", "\"front0\"");
    let said = clinic.of_director();
    let words = "The way to the real server 10.0.0.11 is by back0";
    let mend = "interfaces = [\"front0\", \"back0\"]";
    assert_said(&said, "neighbours", Fault, words, mend);
    clinic.text = both.replace("10.0.0.11", "192.0.2.1");
    let said = clinic.of_director();
    assert_said(
        &said,
        "neighbours",
        Fault,
        "is this host itself",
        "direct-route",
    );
    clinic.text = both;
    let mut network = clinic.director();
    let to: Prefix = "10.0.0.11/32".parse().unwrap();
    network.add_route(&Route::refusing(to)).unwrap();
    let said = clinic.of_director();
    let words = "No route leads to the real server 10.0.0.11";
    assert_said(&said, "neighbours", Fault, words, "ip route add 10.0.0.11");
}

#[test]
fn direct_routing_by_a_gateway() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let mut network = clinic.director();
    let to: Prefix = "192.0.2.11/32".parse().unwrap();
    let by = "192.0.2.2".parse().unwrap();
    network.add_route(&Route::via(to, by)).unwrap();
    let said = clinic.of_director();
    let mend = "forwarding = \"tunnel\"";
    assert_said(
        &said,
        "neighbours",
        Warning,
        "behind the gateway 192.0.2.2",
        mend,
    );
}

#[test]
fn a_link_too_narrow_for_a_tunnel() {
    let Some(clinic) = Clinic::whole(Method::Tunnel) else {
        return;
    };
    clinic.director().set_mtu("front0", 1500).unwrap();
    let said = clinic.of_director();
    let words = "only 1480 fit on the way to the real server 192.0.2.11 by front0";
    assert_said(
        &said,
        "mtu",
        Warning,
        words,
        "ip link set dev front0 mtu 1520",
    );
    assert_said(&said, "mtu", Warning, words, "advmss 1440");
    let words = "only 1460 fit";
    assert_said(
        &said,
        "mtu",
        Warning,
        words,
        "ip link set dev front0 mtu 1540",
    );
}

#[test]
fn a_link_narrower_than_that_of_clients() {
    let Some(clinic) = Clinic::whole(Method::Masquerade) else {
        return;
    };
    clinic.director().set_mtu("back0", 1400).unwrap();
    let said = clinic.of_director();
    let words = "only 1400 fit on the way to the real server 10.0.0.11 by back0";
    assert_said(
        &said,
        "mtu",
        Warning,
        words,
        "ip link set dev back0 mtu 1500",
    );
}

#[test]
fn a_gateway_that_does_not_forward() {
    let Some(clinic) = Clinic::whole(Method::Masquerade) else {
        return;
    };
    let director = clinic.world.director();
    director.set("ipv4/ip_forward", "0").unwrap();
    director.set("ipv6/conf/all/forwarding", "0").unwrap();
    let said = clinic.of_director();
    let mend = "sysctl -w net.ipv4.ip_forward=1";
    assert_said(&said, "forwarding", Warning, "does not forward IPv4", mend);
    let mend = "sysctl -w net.ipv6.conf.all.forwarding=1";
    assert_said(&said, "forwarding", Warning, "does not forward IPv6", mend);
}

#[test]
fn sources_that_are_checked_too_strictly() {
    let Some(clinic) = Clinic::whole(Method::Masquerade) else {
        return;
    };
    let director = clinic.world.director();
    director.set("ipv4/conf/back0/rp_filter", "1").unwrap();
    let said = clinic.of_director();
    let mend = "sysctl -w net.ipv4.conf.back0.rp_filter=2";
    assert_said(&said, "rp_filter", Warning, "back0 refuses packets", mend);
    director.set("ipv4/conf/back0/rp_filter", "2").unwrap();
    assert_well(&clinic.of_director(), &OF_THE_MACHINE);
}
