//! Reading choices from any bytes.

use crate::common::packet::Packet;

/// Bytes that decide; when they are used up, everything is zero.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there is anything left to decide.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    pub(crate) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number below `bound`, at most 65536.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let choice = if bound > 256 {
            usize::from(self.word())
        } else {
            usize::from(self.byte())
        };
        choice % bound
    }

    /// False once the input is used up.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Up to so many bytes.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = self.below(most + 1).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// The packet with what honest packets differ in: TTL, class, DF, options.
    pub(crate) fn varied(&mut self, packet: Packet, is_ipv4: bool) -> Packet {
        let mut packet = packet
            .ttl(self.one_of(&[64, 2, 1, 0, 255, 3]))
            .class(self.byte())
            .id(self.word());
        if is_ipv4 && self.once_in(2) {
            packet = packet.may_be_fragmented();
        }
        for _ in 0..self.below(4) {
            packet = if is_ipv4 {
                // NOPs, and an end that hides what follows it.
                packet.options(
                    &[&[1, 1, 1, 1][..], &[0, 7, 3, 4], &[1, 1, 1, 0]][self.below(3)].repeat(2),
                )
            } else {
                let number = self.one_of(&[60, 0, 43]);
                let rest = if self.once_in(2) { 14 } else { 6 };
                packet.extension(number, &[&[1, 4][..], &[0; 12]].concat()[..rest])
            };
        }
        packet
    }
}
