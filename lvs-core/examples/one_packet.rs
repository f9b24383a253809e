//! A director without a network: bytes in, verdict and bytes out.
//!
//! ```text
//! cargo run -p lvs-core --example one_packet
//! ```
//!
//! Whoever has packets of their own, from wherever, needs no more than this.

use std::error::Error;
use std::sync::Arc;

use lvs_core::network::{Interface, Neighbour, Network, Route, Way};
use lvs_core::{
    Config, Instant, Limits, PacketBuf, Planner, Port, RealServer, Scheduler, Service, Shard,
    ShardId, Verdict,
};

fn main() -> Result<(), Box<dyn Error>> {
    let (verdict, frame) = direct(&SYN)?;
    println!("in:      {}", in_words(&SYN));
    println!("verdict: {verdict:?}");
    println!("out:     {}", in_words(&frame));
    Ok(())
}

/// What a director does with a frame, and the frame afterwards.
fn direct(frame: &[u8]) -> Result<(Verdict, Vec<u8>), Box<dyn Error>> {
    // What there is to serve, and the network it is served on.
    let web = Service::tcp("192.0.2.10:80".parse()?, Scheduler::WeightedLeastConnection)
        .real_server(RealServer::masquerade("10.0.0.11:8080".parse()?));
    let config = Config::new([web])?;
    let network = Arc::new(network()?);

    // The control side makes snapshots; a shard works by the latest.
    let limits = Limits::default();
    let mut planner = Planner::new(limits);
    let mut memory = vec![[0; 8]; Shard::memory_for(1000)];
    let snapshot = planner.plan(&config, &network)?;
    let mut shard = Shard::new(ShardId(0), &mut memory, &limits, snapshot)?;

    // A frame lies somewhere in a chunk, with room in front for more headers.
    let mut chunk = [&[0; 64], frame].concat();
    let mut range = 64..chunk.len();
    let mut packets = [PacketBuf::new(&mut chunk, &mut range, Port(0))];
    let mut verdicts = [Verdict::Host];
    shard.process(Instant::from_nanoseconds(0), &mut packets, &mut verdicts);
    Ok((verdicts[0], chunk[range].to_vec()))
}

/// One port, on the network of the real server, and the VIP on the host.
fn network() -> Result<Network, Box<dyn Error>> {
    let interface = Interface {
        mac: [2, 0, 0, 0, 0, 1],
        mtu: 1500,
        ipv4: Some("10.0.0.1".parse()?),
        ipv6: None,
    };
    let route = Route {
        prefix: "10.0.0.0".parse()?,
        length: 24,
        way: Way::Out {
            port: Port(0),
            vlan: None,
            gateway: None,
            source: None,
            mtu: None,
        },
    };
    let neighbour = Neighbour {
        address: "10.0.0.11".parse()?,
        port: Port(0),
        vlan: None,
        mac: [2, 0, 0, 0, 0, 11],
    };
    let vip = Route::local("192.0.2.10".parse()?);
    Ok(Network::new(vec![interface], [route, vip], [neighbour]))
}

/// The ends of a TCP segment in an Ethernet frame.
fn in_words(frame: &[u8]) -> String {
    let ip = |at: usize| std::net::Ipv4Addr::from_octets([0, 1, 2, 3].map(|n| frame[at + n]));
    let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let (from, to) = ((ip(26), port(34)), (ip(30), port(36)));
    format!(
        "{}:{} > {}:{}, TTL {}",
        from.0, from.1, to.0, to.1, frame[22]
    )
}

/// 198.51.100.7:40000 asks 192.0.2.10:80 for a connection.
const SYN: [u8; 54] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1, 254, 8, 0, // Ethernet: to, from, IPv4
    0x45, 0, 0, 40, 0, 0, 0x40, 0, // IPv4: five words, 40 bytes, DF
    64, 6, 0x4e, 0x8b, // TTL, TCP, checksum
    198, 51, 100, 7, 192, 0, 2, 10, // from, to
    0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, // TCP: ports, sequence, acknowledgement
    0x50, 2, 0xfa, 0xf0, 0x28, 0x16, 0, 0, // five words, SYN, window, checksum
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_goes_to_the_real_server() {
        let (verdict, frame) = direct(&SYN).expect("a valid director");
        assert_eq!(verdict, Verdict::Transmit(Port(0)));
        assert_eq!(frame[..6], [2, 0, 0, 0, 0, 11]);
        assert_eq!(
            in_words(&frame),
            "198.51.100.7:40000 > 10.0.0.11:8080, TTL 63"
        );
    }

    #[test]
    fn the_example_runs() {
        main().expect("a valid director");
    }
}
