//! A real server's own machine.

use lvs::doctor::Severity::{Fault, Warning};
use lvs::lvs_io::netlink::{Prefix, Route};
use lvs::world::{Family, Method, Plan};

use crate::clinic::{Clinic, assert_said, assert_well, place};

#[test]
fn nothing_is_said_where_all_is_well() {
    for method in [Method::Masquerade, Method::DirectRoute, Method::Tunnel] {
        let Some(clinic) = Clinic::whole(method) else {
            return;
        };
        for family in Family::BOTH {
            assert_well(&clinic.of_real_server_by(family), &[]);
        }
    }
}

#[test]
fn another_machine_than_the_one_that_is_meant() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let settings = lvs::config::Settings::parse("clinic", &clinic.text).unwrap();
    let outside = place(clinic.world.router().unwrap());
    let look = |address: &str| {
        let address = address.parse().unwrap();
        let director = clinic.world.director();
        let looked = director.run(|| lvs::doctor::real_server(&settings, address, &outside));
        looked.unwrap()
    };
    let words = "Nobody in this network namespace has the address 192.0.2.11";
    assert_said(&look("192.0.2.11"), "address", Fault, words, "ip addr add");
    let words = "names no real server 192.0.2.2";
    assert_said(&look("192.0.2.2"), "address", Fault, words, "real_server");
}

#[test]
fn a_real_server_that_answers_for_the_vip() {
    for method in [Method::DirectRoute, Method::Tunnel] {
        let Some(clinic) = Clinic::whole(method) else {
            return;
        };
        let server = clinic.server();
        server.set("ipv4/conf/all/arp_ignore", "0").unwrap();
        let said = clinic.of_real_server();
        let mend = "sysctl -w net.ipv4.conf.all.arp_ignore=1";
        assert_said(&said, "arp", Fault, "It answers on lan0", mend);
        assert_well(&said, &["arp"]);
        server.set("ipv4/conf/lan0/arp_ignore", "1").unwrap();
        server.set("ipv4/conf/all/arp_announce", "0").unwrap();
        let said = clinic.of_real_server();
        let mend = "sysctl -w net.ipv4.conf.all.arp_announce=2";
        assert_said(&said, "arp", Fault, "in the name of the VIP", mend);
    }
}

#[test]
fn a_vip_on_the_wrong_link() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let mut network = clinic.server().network().unwrap();
    for family in Family::BOTH {
        let vip = Prefix::host(Plan::vip(family));
        network.remove_address("lo", vip).unwrap();
        network.add_address("lan0", vip).unwrap();
        let said = clinic.of_real_server_by(family);
        let mend = format!("ip addr del {vip} dev lan0");
        assert_said(&said, "arp", Fault, "is on lan0, where it answers", &mend);
    }
}

#[test]
fn a_vip_that_is_not_there_or_too_wide() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let mut network = clinic.server().network().unwrap();
    for family in Family::BOTH {
        let vip = Prefix::host(Plan::vip(family));
        network.remove_address("lo", vip).unwrap();
        let said = clinic.of_real_server_by(family);
        let mend = format!("ip addr add {vip} dev lo");
        assert_said(&said, "vip", Fault, "It does not have the VIP", &mend);
    }
    let wide = Prefix::new(Plan::vip(Family::V4), 24).unwrap();
    network.add_address("lo", wide).unwrap();
    let said = clinic.of_real_server();
    let words = "all of 192.0.2.0/24 is this machine itself";
    assert_said(
        &said,
        "vip",
        Fault,
        words,
        "ip addr del 192.0.2.100/24 dev lo",
    );
}

#[test]
fn a_vip_where_masquerading_needs_none() {
    let Some(clinic) = Clinic::whole(Method::Masquerade) else {
        return;
    };
    let vip = Prefix::host(Plan::vip(Family::V4));
    let mut network = clinic.server().network().unwrap();
    network.add_address("lo", vip).unwrap();
    let said = clinic.of_real_server();
    let mend = "ip addr del 192.0.2.100/32 dev lo";
    assert_said(&said, "vip", Fault, "though it is masqueraded", mend);
}

#[test]
fn a_tunnel_that_ends_nowhere() {
    let Some(clinic) = Clinic::whole(Method::Tunnel) else {
        return;
    };
    let mut network = clinic.server().network().unwrap();
    network.set_down("tunl0").unwrap();
    let said = clinic.of_real_server();
    let mend = "ip link set dev tunl0 up";
    assert_said(&said, "tunnel", Fault, "tunl0 is down", mend);
    network.delete_link("tunl0").unwrap();
    let said = clinic.of_real_server();
    assert_said(&said, "tunnel", Fault, "It has no device", "modprobe ipip");
}

#[test]
fn a_tunnel_whose_sources_are_checked() {
    let Some(clinic) = Clinic::whole(Method::Tunnel) else {
        return;
    };
    let server = clinic.server();
    let mend = "net.ipv4.conf.tunl0.rp_filter=0";
    server.set("ipv4/conf/all/rp_filter", "1").unwrap();
    let said = clinic.of_real_server();
    let words = "the way back to clients is by another device";
    assert_said(&said, "tunnel", Fault, words, mend);
    server.set("ipv4/conf/tunl0/rp_filter", "2").unwrap();
    let said = clinic.of_real_server();
    let words = "the loose one wants an address on it";
    assert_said(&said, "tunnel", Fault, words, mend);
    let mut network = server.network().unwrap();
    let some = "169.254.0.1/32".parse().unwrap();
    network.add_address("tunl0", some).unwrap();
    assert_well(&clinic.of_real_server(), &[]);
}

#[test]
fn a_tunnel_in_udp_that_nobody_takes() {
    let Some(mut clinic) = Clinic::whole(Method::Tunnel) else {
        return;
    };
    let gue = "forwarding = \"tunnel\"\ntunnel = \"gue\"\ntunnel_port = 6080";
    clinic.text = clinic.text.replace("forwarding = \"tunnel\"", gue);
    let said = clinic.of_real_server();
    let words = "Nobody takes the tunnel's packets from UDP port 6080";
    assert_said(&said, "tunnel", Fault, words, "ip fou add port 6080 gue");
    let bind = || std::net::UdpSocket::bind("0.0.0.0:6080");
    let _socket = clinic.server().run(bind).unwrap();
    assert_well(&clinic.of_real_server(), &[]);
}

#[test]
fn a_service_that_nobody_serves() {
    for method in [Method::Masquerade, Method::DirectRoute] {
        let Some(mut clinic) = Clinic::whole(method) else {
            return;
        };
        clinic.world.real_servers_mut()[0].stop();
        let said = clinic.of_real_server();
        let words = match method {
            Method::Masquerade => "No program listens at TCP 10.0.0.11:8080",
            _ => "No program listens at TCP 192.0.2.100:80",
        };
        assert_said(&said, "listeners", Warning, words, "ss -lnp --tcp");
        assert_said(&said, "listeners", Warning, "UDP", "ss -lnp --udp");
    }
}

#[test]
fn answers_of_the_masqueraded_that_go_past_the_director() {
    let Some(clinic) = Clinic::whole(Method::Masquerade) else {
        return;
    };
    let mut network = clinic.server().network().unwrap();
    let other = Route::via(Prefix::ALL_V4, "10.0.0.2".parse().unwrap());
    network.replace_route(&other).unwrap();
    let said = clinic.of_real_server();
    let mend = "ip route replace default via 10.0.0.1";
    assert_said(
        &said,
        "route",
        Fault,
        "10.0.0.2, which is not the director",
        mend,
    );
    network.delete_route(&other).unwrap();
    let said = clinic.of_real_server();
    assert_said(&said, "route", Fault, "no default route", mend);
}

#[test]
fn answers_from_the_vip_that_go_by_the_director() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let mut network = clinic.server().network().unwrap();
    let director = Route::via(Prefix::ALL_V4, Plan::dip(Family::V4));
    network.replace_route(&director).unwrap();
    let said = clinic.of_real_server();
    let words = "drops answers that come from the VIP 192.0.2.100";
    assert_said(
        &said,
        "route",
        Fault,
        words,
        "ip route replace default via ROUTER",
    );
    network.delete_route(&director).unwrap();
    let said = clinic.of_real_server();
    assert_said(
        &said,
        "route",
        Fault,
        "no default route",
        "ip route replace",
    );
}
