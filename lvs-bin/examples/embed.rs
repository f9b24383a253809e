//! A director inside a program of your own.
//!
//! `cargo run -p lvs-bin --example embed -- eth0`

use lvs::{Config, Director, Nic, RealServer, Scheduler, Service};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nic = std::env::args().nth(1).ok_or("usage: embed INTERFACE")?;
    let web = Service::tcp("192.0.2.10:80".parse()?, Scheduler::WeightedLeastConnection)
        .real_server(RealServer::direct_route("10.0.0.11".parse()?).weight(3))
        .real_server(RealServer::tunnel("10.9.0.12".parse()?))
        .real_server(RealServer::masquerade("10.0.0.13:8080".parse()?));

    let queues = Nic::named(&nic)?.open_queues()?; // one per core, zero-copy if it can
    let director = Director::start(queues, Config::new([web.clone()])?)?;

    director.apply(Config::new([web.drain("10.0.0.11".parse()?)])?)?; // weight 0: no new ones
    println!("{}", director.stats());
    Ok(()) // drop: detach, join, give back
}
