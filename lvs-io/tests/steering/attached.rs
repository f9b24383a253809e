//! The program on a link: what it takes of live traffic, who else may attach,
//! and that nothing remains of it.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{slice, thread};

use lvs_io::Nic;
use lvs_io::program::{End, Error, Steer, Steering, XdpMode};

use crate::bed::{Bed, Wire, in_namespace};
use crate::frames::{TCP, UDP, frame, packet, tagged};

const MODES: [XdpMode; 3] = [XdpMode::Native, XdpMode::Generic, XdpMode::Tc];

fn dns() -> Steer {
    Steer {
        protocol: UDP,
        address: "192.0.2.1".parse().unwrap(),
        port: Some(53),
        end: End::Destination,
    }
}

/// The host's own ears: what is steered must not get here.
fn listen(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(("192.0.2.1", port)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket
}

fn datagram(port: u16) -> Vec<u8> {
    let to = format!("192.0.2.1:{port}");
    frame(packet(UDP, "192.0.2.7:40000", &to))
}

/// Waits until `done`; a hang is a failure.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_frame_for_another_mac_is_left_to_whoever_has_it() {
    for mode in MODES {
        in_namespace(|bed| {
            if mode == XdpMode::Tc && !bed.can(mode) {
                return;
            }
            let mut far = Wire::open(&bed.far);
            let (steering, _near) = bed.steer(mode, &[dns()]);
            let counted = || {
                let stats = steering.stats().unwrap();
                (stats.other_mac, stats.service)
            };
            let mut virtual_router = datagram(53);
            virtual_router[..6].copy_from_slice(&[0, 0, 0x5e, 0, 1, 7]);
            far.send(&virtual_router);
            until("the router's frame passes", || counted() == (1, 0));
            let mut group = datagram(53);
            group[..6].copy_from_slice(&[0xff; 6]);
            far.send(&group);
            until("a group's is judged by its packet", || counted() == (1, 1));
            steering.set_mac(0, [0, 0, 0x5e, 0, 1, 7]).unwrap();
            far.send(&virtual_router);
            far.send(&datagram(53));
            until("the NIC has another MAC", || counted() == (2, 2));
        });
    }
}

#[test]
fn the_service_is_taken_and_the_rest_left() {
    for mode in MODES {
        in_namespace(|bed| {
            if mode == XdpMode::Tc && !bed.can(mode) {
                return;
            }
            let (served, other) = (listen(53), listen(54));
            let mut far = Wire::open(&bed.far);
            let (steering, mut near) = bed.steer(mode, &[dns()]);
            far.send(&datagram(53));
            far.send(&datagram(54));
            // One link, one order: when the second is here, the first was.
            other.recv_from(&mut [0; 64]).unwrap();
            let stats = steering.stats().unwrap();
            assert_eq!((stats.service, stats.no_rule), (1, 1), "{mode:?}");
            if let Some(near) = &mut near {
                let mut taken = Vec::new();
                until("the frame on the socket", || {
                    taken.append(&mut near.received());
                    !taken.is_empty()
                });
                assert_eq!(taken, [datagram(53)], "{mode:?}");
            }
            served.set_nonblocking(true).unwrap();
            assert!(served.recv_from(&mut [0; 64]).is_err(), "{mode:?}");
        });
    }
}

#[test]
fn a_service_that_stays_misses_no_frame_while_rules_change() {
    in_namespace(|bed| {
        let stop = AtomicBool::new(false);
        let far = Wire::open(&bed.far);
        let (mut steering, _wire) = bed.steer(XdpMode::Native, &[dns()]);
        let on = |port| Steer { port, ..dns() };
        let sets = [
            vec![on(None)],
            vec![dns(), on(Some(54))],
            vec![dns(), on(None), on(Some(55))],
            vec![dns()],
        ];
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut far = far;
                while !stop.load(Ordering::Relaxed) {
                    far.send(&datagram(53));
                }
            });
            // Stops the sender if an assertion fails, too.
            let _stop = OnDrop(|| stop.store(true, Ordering::Relaxed));
            let deadline = Instant::now() + Duration::from_secs(10);
            while steering.stats().unwrap().service < 5000 {
                assert!(Instant::now() < deadline, "frames do not come");
                for set in &sets {
                    steering.update(set).unwrap();
                }
            }
        });
        assert_eq!(steering.stats().unwrap().no_rule, 0);
    });
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn nothing_remains_after_it_is_dropped() {
    for mode in MODES {
        in_namespace(|bed| {
            if mode == XdpMode::Tc && !bed.can(mode) {
                return;
            }
            let served = listen(53);
            let mut far = Wire::open(&bed.far);
            drop(bed.steer(mode, &[dns()]));
            far.send(&datagram(53));
            served.recv_from(&mut [0; 64]).unwrap();
            // The hook is free again.
            drop(bed.attach(mode));
        });
    }
}

#[test]
fn at_tc_a_tag_is_beside_the_frame() {
    in_namespace(|bed| {
        if !bed.can(XdpMode::Tc) {
            return;
        }
        let mut far = Wire::open(&bed.far);
        let (steering, _) = bed.steer(XdpMode::Tc, &[dns()]);
        let seen = || {
            let stats = steering.stats().unwrap();
            (stats.service, stats.not_ip)
        };
        far.send(&tagged(0x8100, datagram(53)));
        until("the tagged frame", || seen() == (1, 0));
        far.send(&tagged(0x8100, tagged(0x8100, datagram(53))));
        until("the frame with two tags", || seen() == (1, 1));
        far.send(&tagged(0x88a8, datagram(53)));
        until("the frame with a provider's tag", || seen() == (1, 2));
    });
}

#[test]
fn a_second_owner_is_told_of_the_first() {
    in_namespace(|bed| {
        let first = bed.attach(XdpMode::Native);
        for mode in [XdpMode::Native, XdpMode::Generic] {
            let error = Steering::attach(slice::from_ref(&bed.near), mode).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("near: attach"), "{text}");
            assert!(text.contains("another XDP program"), "{text}");
        }
        drop(first);
        drop(bed.attach(XdpMode::Generic));
        // At tc there is room for all.
        if !bed.can(XdpMode::Tc) {
            return;
        }
        let _both = (bed.attach(XdpMode::Tc), bed.attach(XdpMode::Tc));
    });
}

#[test]
fn one_nic_that_fails_frees_the_others() {
    in_namespace(|bed| {
        let gone = Nic {
            name: "gone".into(),
            index: 9999,
            ..bed.near.clone()
        };
        let nics = [bed.near.clone(), gone];
        for mode in MODES {
            if mode == XdpMode::Tc && !bed.can(mode) {
                continue;
            }
            let text = Steering::attach(&nics, mode).unwrap_err().to_string();
            assert!(text.starts_with("gone: attach"), "{text}");
        }
        drop(bed.attach(XdpMode::Native));
    });
}

#[test]
fn sockets_are_for_xdp_and_for_its_queues() {
    in_namespace(|bed: Bed| {
        let wire = Wire::open(&bed.near);
        let steering = bed.attach(XdpMode::Native);
        let error = steering.set_socket(0, 256, wire.socket.as_fd());
        let text = error.unwrap_err().to_string();
        assert!(text.contains("queues 0 to 255"), "{text}");
        let no_xdp = UdpSocket::bind("192.0.2.1:0").unwrap();
        let error = steering.set_socket(0, 0, no_xdp.as_fd()).unwrap_err();
        assert!(error.to_string().starts_with("near: give"), "{error}");
        steering.set_socket(0, 0, wire.socket.as_fd()).unwrap();
        // A program that only redirects takes any frame at all.
        let yardstick = steering.yardstick(0).unwrap();
        let any = frame(packet(TCP, "192.0.2.7:1", "192.0.2.1:2"));
        assert!(yardstick.trial(&any, 1).unwrap().taken);
        assert!(!steering.trial(0, &any, 1).unwrap().taken);
    });
}

#[test]
fn at_tc_there_are_no_sockets() {
    in_namespace(|bed| {
        if !bed.can(XdpMode::Tc) {
            return;
        }
        let wire = Wire::open(&bed.near);
        let steering = bed.attach(XdpMode::Tc);
        let refused = steering.set_socket(0, 0, wire.socket.as_fd());
        assert!(matches!(refused, Err(Error::NoSockets)));
        assert!(matches!(steering.yardstick(0), Err(Error::NoSockets)));
    });
}
