//! What the committed object defines: maps, programs, a licence.
//!
//! A map is a `struct map` (five words) in section `maps`, named by its symbol.
//! A program is the whole of its section; each reference to a map is a
//! relocation, filled in with the map's descriptor.

use std::os::fd::RawFd;

use super::elf::{Elf, ElfError, Relocation, Symbol, u32_at};
use crate::sys::bpf::MapShape;

/// A BPF object, read but not loaded.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    elf: Elf<'a>,
    maps: Vec<(Symbol<'a>, MapShape)>,
    maps_section: usize,
    licence: &'a [u8],
}

impl<'a> Object<'a> {
    /// Reads the definitions.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let elf = Elf::parse(bytes)?;
        let (maps_section, definitions) = elf.section_named("maps")?;
        let maps = elf
            .symbols()?
            .into_iter()
            .filter(|symbol| symbol.section == maps_section && !symbol.name.is_empty())
            .map(|symbol| Ok((symbol, shape(definitions.bytes, symbol.offset)?)))
            .collect::<Result<_, ElfError>>()?;
        Ok(Self {
            elf,
            maps,
            maps_section,
            licence: elf.section_named("license")?.1.bytes,
        })
    }

    /// The licence the programs declare to the kernel, NUL included.
    pub(crate) fn licence(&self) -> &'a [u8] {
        self.licence
    }

    /// What the map called `name` is to be.
    pub(crate) fn map(&self, name: &str) -> Result<MapShape, ElfError> {
        self.maps
            .iter()
            .find(|(symbol, _)| symbol.name == name)
            .map(|&(_, shape)| shape)
            .ok_or(ElfError("a map is missing"))
    }

    /// The instructions of the program that fills `section`, its maps replaced
    /// by the descriptors that `descriptor_of` gives for their names.
    pub(crate) fn program(
        &self,
        section: &str,
        descriptor_of: impl Fn(&str) -> Option<RawFd>,
    ) -> Result<Vec<u64>, ElfError> {
        let (index, section) = self.elf.section_named(section)?;
        let (words, rest) = section.bytes.as_chunks::<8>();
        if words.is_empty() || !rest.is_empty() {
            return Err(ElfError("a program that is not whole instructions"));
        }
        let mut words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        for relocation in self.elf.relocations(index)? {
            let name = self.map_at(relocation)?;
            let descriptor = descriptor_of(name).ok_or(ElfError("a map that was not made"))?;
            refer(&mut words, relocation.offset, descriptor)?;
        }
        Ok(words)
    }

    fn map_at(&self, relocation: Relocation<'a>) -> Result<&'a str, ElfError> {
        let wanted = relocation.symbol;
        if relocation.kind != MAP_REFERENCE || wanted.section != self.maps_section {
            return Err(ElfError("a relocation that is not of a map"));
        }
        self.maps
            .iter()
            .find(|(symbol, _)| symbol.offset == wanted.offset)
            .map(|(symbol, _)| symbol.name)
            .ok_or(ElfError("a relocation of no known map"))
    }
}

/// The `struct map` at `offset`.
fn shape(definitions: &[u8], offset: u64) -> Result<MapShape, ElfError> {
    let word = |number: usize| {
        usize::try_from(offset)
            .ok()
            .and_then(|offset| offset.checked_add(number * 4))
            .ok_or(ElfError("a map outside its section"))
            .and_then(|at| u32_at(definitions, at))
    };
    Ok(MapShape {
        kind: word(0)?,
        key_bytes: word(1)?,
        value_bytes: word(2)?,
        entries: word(3)?,
        flags: word(4)?,
    })
}

/// Makes the two-word load at byte `offset` one of the map `descriptor`.
fn refer(words: &mut [u64], offset: u64, descriptor: RawFd) -> Result<(), ElfError> {
    let misplaced = ElfError("a relocation outside its program");
    if !offset.is_multiple_of(8) {
        return Err(misplaced);
    }
    let first = usize::try_from(offset / 8).map_err(|_| misplaced)?;
    let pair = first
        .checked_add(2)
        .and_then(|end| words.get_mut(first..end))
        .ok_or(misplaced)?;
    if pair[0] & 0xff != LOAD_WIDE {
        return Err(ElfError("a relocation of another instruction"));
    }
    // Low to high: opcode 8 bits, destination 4, source 4, offset 16, then the
    // immediate: half in this word, half in the next.
    pair[0] = pair[0] & 0x0fff | MAP_DESCRIPTOR | u64::from(descriptor as u32) << 32;
    pair[1] = 0;
    Ok(())
}

/// `R_BPF_64_64`.
const MAP_REFERENCE: u32 = 1;
/// `BPF_LD | BPF_IMM | BPF_DW`.
pub(crate) const LOAD_WIDE: u64 = 0x18;
/// `BPF_PSEUDO_MAP_FD` as the source register.
pub(crate) const MAP_DESCRIPTOR: u64 = 1 << 12;

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &[u8] = include_bytes!("../../bpf/steer.bpf.o");

    #[test]
    fn reads_maps_and_licence() {
        let object = Object::parse(OBJECT).unwrap();
        let rules = object.map("rules").unwrap();
        assert_eq!((rules.key_bytes, rules.value_bytes), (20, 4));
        assert_eq!(object.map("xsks").unwrap().kind, 17);
        assert!(object.map("no such map").is_err());
        assert_eq!(object.licence(), b"Dual MIT/GPL\0");
    }

    #[test]
    fn fills_in_every_map() {
        let object = Object::parse(OBJECT).unwrap();
        let words = object.program("xdp.frags", |name| Some(name.len() as RawFd));
        let words = words.unwrap();
        let of = |name: &str| {
            let wanted = LOAD_WIDE | MAP_DESCRIPTOR | (name.len() as u64) << 32;
            words.iter().any(|word| word & !0x0f00 == wanted)
        };
        assert!(of("rules") && of("present") && of("reasons") && of("xsks"));
    }

    #[test]
    fn a_map_that_was_not_made_is_an_error() {
        let object = Object::parse(OBJECT).unwrap();
        let missing = object.program("xdp.frags", |name| (name != "xsks").then_some(3));
        assert_eq!(missing, Err(ElfError("a map that was not made")));
        // The tc program feeds no sockets.
        assert!(
            object
                .program("tc", |name| (name != "xsks").then_some(3))
                .is_ok()
        );
    }

    #[test]
    fn relocations_must_fit_the_program() {
        let mut words = [LOAD_WIDE, 0, 0xb7];
        for offset in [4, 16, 24, 1 << 40, u64::MAX - 7] {
            assert!(refer(&mut words, offset, 3).is_err(), "{offset}");
        }
        assert_eq!(words, [LOAD_WIDE, 0, 0xb7]);
        refer(&mut words, 0, 3).unwrap();
        assert_eq!(words[0], 0x0000_0003_0000_1018);
    }

    #[test]
    fn no_changed_byte_makes_it_panic() {
        let mut bytes = OBJECT.to_vec();
        let mut refused = 0;
        for at in 0..bytes.len() {
            for value in [0, 0x7f, 0xff] {
                let kept = std::mem::replace(&mut bytes[at], value);
                let read = Object::parse(&bytes).and_then(|object| {
                    object.program("xdp.frags", |_| Some(3))?;
                    object.program("tc", |_| Some(3))
                });
                refused += usize::from(read.is_err());
                bytes[at] = kept;
            }
        }
        assert!(refused > 0);
    }
}
