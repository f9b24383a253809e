//! A client, a director and real servers, joined by wires that take time, lose
//! packets and let them overtake each other, all by one seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use lvs_core::{DropReason, Line, Port, Protocol, Service, Verdict};

use crate::client::{Conversation, Step};
use crate::common::bed::Bed;
use crate::common::frame::Frame;
use crate::common::packet::Packet;
use crate::common::place::{Family, GATEWAY, Wiring, from_client, from_server, server_mac};
use crate::common::random::Random;
use crate::common::read::{read, read_packet};
use crate::server::{Said, Server};

/// Everything there is.
pub(crate) struct World<'m> {
    pub(crate) bed: Bed<'m>,
    pub(crate) w: Family,
    pub(crate) conversations: Vec<Conversation>,
    pub(crate) servers: BTreeMap<u8, Server>,
    /// What happens next, by time and then in the order it was caused.
    events: BTreeMap<(u64, u64), Event>,
    caused: u64,
    by_client: BTreeMap<SocketAddr, usize>,
    random: Random,
    /// One packet in so many is lost on each wire; zero loses none.
    pub(crate) loss: usize,
    /// Packets are late by up to so much.
    pub(crate) jitter: Duration,
    /// Why the director dropped packets.
    pub(crate) dropped: BTreeMap<DropReason, u64>,
}

enum Event {
    AtDirector(Port, Vec<u8>),
    AtServer(u8, Vec<u8>),
    AtClient(Vec<u8>),
    /// The client looks whether a conversation's packet was answered.
    Remind(usize, u32),
}

impl<'m> World<'m> {
    /// A world of real servers 11, 12 and 13 behind a director with `services`,
    /// its shards' tables in `memory`.
    pub(crate) fn new(
        w: Family,
        memory: &'m mut [Vec<Line>],
        services: &[Service],
        seed: u64,
    ) -> Self {
        let server = |number| (number, Server::new(w, number));
        Self {
            bed: Bed::new(memory, services, Wiring::default().network()),
            w,
            conversations: Vec::new(),
            servers: [11, 12, 13].map(server).into(),
            events: BTreeMap::new(),
            caused: 0,
            by_client: BTreeMap::new(),
            random: Random::new(seed),
            loss: 0,
            jitter: Duration::ZERO,
            dropped: BTreeMap::new(),
        }
    }

    /// A client begins a conversation.
    pub(crate) fn begin(&mut self, protocol: Protocol, client: SocketAddr) {
        let number = self.conversations.len();
        self.conversations
            .push(Conversation::new(protocol, client, self.w.web));
        assert_eq!(
            self.by_client.insert(client, number),
            None,
            "{client} twice"
        );
        self.say(number);
    }

    /// Everybody who has asked all there was closes.
    pub(crate) fn close(&mut self) {
        self.close_where(|_| true);
    }

    /// The same, but only those of whom this is true.
    pub(crate) fn close_where(&mut self, chosen: impl Fn(&Conversation) -> bool) {
        for number in 0..self.conversations.len() {
            let conversation = &self.conversations[number];
            if conversation.step == Step::Holding && chosen(conversation) {
                self.conversations[number].close();
                self.say(number);
            }
        }
    }

    /// Lets things happen until nothing more does.
    pub(crate) fn run(&mut self) {
        while let Some(((at, _), event)) = self.events.pop_first() {
            let passed = at.saturating_sub(self.bed.now.nanoseconds());
            self.bed.wait(Duration::from_nanos(passed));
            match event {
                Event::AtDirector(port, bytes) => self.at_director(&Frame::arriving(port, &bytes)),
                Event::AtServer(number, bytes) => self.at_server(number, &bytes),
                Event::AtClient(bytes) => self.at_client(&bytes),
                Event::Remind(number, attempt) => self.remind(number, attempt),
            }
        }
    }

    /// How many conversations are at this step.
    pub(crate) fn count(&self, step: Step) -> usize {
        self.conversations.iter().filter(|c| c.step == step).count()
    }

    /// Connections active and inactive at each of the real servers.
    pub(crate) fn loads(&self) -> Vec<(u32, u32)> {
        let snapshot = self.bed.snapshot().clone();
        let loads = self.bed.planner.loads();
        snapshot
            .real_servers()
            .map(|(.., id)| loads.connections(id))
            .collect()
    }

    /// Whether the director remembers nothing and counts nobody.
    pub(crate) fn is_at_rest(&self) -> bool {
        let remembered: usize = self
            .bed
            .shards
            .iter()
            .map(|shard| shard.connections())
            .sum();
        remembered == 0 && self.loads().iter().all(|load| *load == (0, 0))
    }

    fn at_director(&mut self, frame: &Frame) {
        let shard = self.lands_at(frame);
        let mut taken = self.bed.take(shard, frame);
        if let Verdict::Handoff(owner) = taken.verdict {
            let handed = Frame::arriving(frame.port, &taken.bytes);
            taken = self.bed.take(owner.index(), &handed);
        }
        match taken.verdict {
            Verdict::Transmit(_) => self.leaves_director(&taken.bytes),
            Verdict::Drop(reason) => *self.dropped.entry(reason).or_default() += 1,
            other => panic!("{other:?} of {:?}", read(&frame.bytes())),
        }
    }

    fn leaves_director(&mut self, bytes: &[u8]) {
        let seen = read(bytes).unwrap_or_else(|fault| panic!("{fault}: {bytes:02x?}"));
        assert_eq!(seen.padding, 0);
        let packet = bytes[14..].to_vec();
        if seen.to == GATEWAY {
            self.send(Event::AtClient(packet));
        } else {
            let number = seen.to[5];
            assert_eq!(seen.to, server_mac(number));
            self.send(Event::AtServer(number, packet));
        }
    }

    /// The queue a frame's flow is hashed to: any, but always the same.
    fn lands_at(&self, frame: &Frame) -> usize {
        let addresses = match frame.payload[0] >> 4 {
            4 => &frame.payload[12..24],
            _ => &frame.payload[8..44],
        };
        let sum: usize = addresses.iter().map(|byte| usize::from(*byte)).sum();
        sum % self.bed.shards.len()
    }

    fn at_server(&mut self, number: u8, bytes: &[u8]) {
        let packet = read_packet(bytes).expect("the director checked it");
        let server = self.servers.get_mut(&number).expect("a real server");
        match server.hear(&packet) {
            Some(Said::ThroughDirector(packet)) => {
                let frame = from_server(number, &packet);
                self.send(Event::AtDirector(frame.port, frame.bytes()));
            }
            Some(Said::Straight(packet)) => self.send(Event::AtClient(packet.bytes())),
            None => {}
        }
    }

    fn at_client(&mut self, bytes: &[u8]) {
        let packet = read_packet(bytes).unwrap_or_else(|fault| panic!("{fault}: {bytes:02x?}"));
        let (_, client) = packet.ends();
        let number = match self.by_client.get(&client) {
            Some(number) => *number,
            // An ICMP error has no port: the packet it quotes has.
            None => self.asked_by(bytes),
        };
        let before = self.conversations[number].step;
        let reply = self.conversations[number].hear(&packet);
        if let Some(reply) = reply {
            self.send_packet(&reply);
        }
        if self.conversations[number].step != before {
            self.say(number);
        }
    }

    /// The conversation whose packet an ICMP error quotes.
    fn asked_by(&self, bytes: &[u8]) -> usize {
        let at = 2 * self.w.header as usize + 8;
        let port = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let quoted = self
            .conversations
            .iter()
            .position(|c| c.client.port() == port);
        quoted.expect("an error about what a client sent")
    }

    /// Says what there is to say, and will look whether it was answered.
    fn say(&mut self, number: usize) {
        self.conversations[number].attempt += 1;
        if let Some(packet) = self.conversations[number].say() {
            self.send_packet(&packet);
            let attempt = self.conversations[number].attempt;
            assert!(
                attempt < 100,
                "{:?} is never answered",
                self.conversations[number]
            );
            self.cause(PATIENCE, Event::Remind(number, attempt));
        }
    }

    fn remind(&mut self, number: usize, attempt: u32) {
        if self.conversations[number].attempt == attempt {
            self.say(number);
        }
    }

    fn send_packet(&mut self, packet: &Packet) {
        let frame = from_client(packet);
        self.send(Event::AtDirector(frame.port, frame.bytes()));
    }

    /// Puts a packet on a wire.
    fn send(&mut self, event: Event) {
        if self.loss > 0 && self.random.once_in(self.loss) {
            return;
        }
        let jitter = self.jitter.as_nanos() as usize;
        let late = if jitter > 0 {
            self.random.below(jitter)
        } else {
            0
        };
        self.cause(WIRE + Duration::from_nanos(late as u64), event);
    }

    fn cause(&mut self, after: Duration, event: Event) {
        self.caused += 1;
        let at = (self.bed.now + after).nanoseconds();
        self.events.insert((at, self.caused), event);
    }
}

/// How long a packet travels.
const WIRE: Duration = Duration::from_micros(100);
/// How long a client waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_millis(300);
