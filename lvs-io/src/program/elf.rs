//! The object file that the compiler made: sections, symbols, relocations.
//!
//! Reads just what a BPF object has. Whatever bytes it is given, every offset
//! is checked: a malformed file is an [`ElfError`], never a panic.
//!
//! *Source*: System V ABI, "Object Files" (ELF-64); LLVM's `BPFELFRelocs.def`.

use std::fmt;

/// An ELF-64 little-endian object for BPF.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elf<'a> {
    bytes: &'a [u8],
    sections_at: usize,
    section_count: usize,
    names: usize,
}

/// A section: its name, what it holds, and the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    kind: u32,
    /// Of a symbol table, its string section; of relocations, the symbols.
    link: usize,
    /// Of relocations, the section they apply to.
    info: usize,
    pub(crate) bytes: &'a [u8],
}

/// A named place in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a str,
    /// Index of its section; 0 when it has none.
    pub(crate) section: usize,
    pub(crate) offset: u64,
}

/// A place in a section that is to be filled in with what a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relocation<'a> {
    pub(crate) offset: u64,
    pub(crate) kind: u32,
    pub(crate) symbol: Symbol<'a>,
}

/// What is wrong with an object, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ElfError(pub(crate) &'static str);

impl fmt::Display for ElfError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl<'a> Elf<'a> {
    /// Checks the header and where the section headers lie.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let header = bytes.get(..HEADER_BYTES).ok_or(ElfError("too short"))?;
        if header[..4] != *b"\x7fELF" {
            return Err(ElfError("not an ELF file"));
        }
        if header[4] != CLASS_64 || header[5] != LITTLE_ENDIAN {
            return Err(ElfError("not a 64-bit little-endian object"));
        }
        if u16_at(header, 18)? != MACHINE_BPF {
            return Err(ElfError("not for BPF"));
        }
        if usize::from(u16_at(header, 58)?) != SECTION_BYTES {
            return Err(ElfError("section headers of an unknown size"));
        }
        Ok(Self {
            bytes,
            sections_at: size_at(header, 40)?,
            section_count: u16_at(header, 60)?.into(),
            names: u16_at(header, 62)?.into(),
        })
    }

    /// All sections with their indexes, in file order.
    pub(crate) fn sections(self) -> impl Iterator<Item = Result<(usize, Section<'a>), ElfError>> {
        (0..self.section_count).map(move |index| Ok((index, self.section(index)?)))
    }

    /// The first section called `name` and its index.
    pub(crate) fn section_named(self, name: &str) -> Result<(usize, Section<'a>), ElfError> {
        for section in self.sections() {
            let (index, section) = section?;
            if section.name == name {
                return Ok((index, section));
            }
        }
        Err(ElfError("a section is missing"))
    }

    /// All symbols of the object.
    pub(crate) fn symbols(self) -> Result<Vec<Symbol<'a>>, ElfError> {
        for section in self.sections() {
            let (_, table) = section?;
            if table.kind == SYMBOL_TABLE {
                let count = table.bytes.len() / SYMBOL_BYTES;
                return (0..count).map(|at| self.symbol(table, at)).collect();
            }
        }
        Err(ElfError("no symbol table"))
    }

    /// The relocations that apply to section `index`.
    pub(crate) fn relocations(self, index: usize) -> Result<Vec<Relocation<'a>>, ElfError> {
        let mut found = Vec::new();
        for section in self.sections() {
            let (_, section) = section?;
            if section.kind == RELOCATIONS_WITH_ADDEND {
                return Err(ElfError("relocations with addends"));
            }
            if section.kind != RELOCATIONS || section.info != index {
                continue;
            }
            let table = self.section(section.link)?;
            for entry in section.bytes.chunks_exact(RELOCATION_BYTES) {
                let info = u64_at(entry, 8)?;
                found.push(Relocation {
                    offset: u64_at(entry, 0)?,
                    kind: info as u32,
                    symbol: self.symbol(table, (info >> 32) as usize)?,
                });
            }
        }
        Ok(found)
    }

    fn section(self, index: usize) -> Result<Section<'a>, ElfError> {
        let raw = self.raw_section(index)?;
        let names = self.raw_section(self.names)?;
        Ok(Section {
            name: text_at(names.bytes, raw.name)?,
            kind: raw.kind,
            link: raw.link,
            info: raw.info,
            bytes: raw.bytes,
        })
    }

    fn raw_section(self, index: usize) -> Result<RawSection<'a>, ElfError> {
        if index >= self.section_count {
            return Err(ElfError("a section that does not exist"));
        }
        let header = index
            .checked_mul(SECTION_BYTES)
            .and_then(|at| at.checked_add(self.sections_at))
            .and_then(|at| slice_at(self.bytes, at, SECTION_BYTES))
            .ok_or(ElfError("a section header outside the file"))?;
        let kind = u32_at(header, 4)?;
        let bytes = if kind == NO_BYTES {
            &[]
        } else {
            slice_at(self.bytes, size_at(header, 24)?, size_at(header, 32)?)
                .ok_or(ElfError("a section outside the file"))?
        };
        Ok(RawSection {
            name: u32_at(header, 0)? as usize,
            kind,
            link: u32_at(header, 40)? as usize,
            info: u32_at(header, 44)? as usize,
            bytes,
        })
    }

    fn symbol(self, table: Section<'a>, index: usize) -> Result<Symbol<'a>, ElfError> {
        let entry = index
            .checked_mul(SYMBOL_BYTES)
            .and_then(|at| slice_at(table.bytes, at, SYMBOL_BYTES))
            .ok_or(ElfError("a symbol that does not exist"))?;
        let names = self.raw_section(table.link)?;
        Ok(Symbol {
            name: text_at(names.bytes, u32_at(entry, 0)? as usize)?,
            section: u16_at(entry, 6)?.into(),
            offset: u64_at(entry, 8)?,
        })
    }
}

struct RawSection<'a> {
    name: usize,
    kind: u32,
    link: usize,
    info: usize,
    bytes: &'a [u8],
}

fn slice_at(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ElfError> {
    slice_at(bytes, at, N)
        .and_then(|slice| slice.try_into().ok())
        .ok_or(ElfError("a field outside its table"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ElfError> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

/// The little-endian number at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ElfError> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, ElfError> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

fn size_at(bytes: &[u8], at: usize) -> Result<usize, ElfError> {
    usize::try_from(u64_at(bytes, at)?).map_err(|_| ElfError("an offset beyond memory"))
}

fn text_at(bytes: &[u8], at: usize) -> Result<&str, ElfError> {
    let rest = bytes
        .get(at..)
        .ok_or(ElfError("a name outside its table"))?;
    let end = rest
        .iter()
        .position(|&byte| byte == 0)
        .ok_or(ElfError("a name without an end"))?;
    std::str::from_utf8(&rest[..end]).map_err(|_| ElfError("a name that is not text"))
}

const HEADER_BYTES: usize = 64;
const SECTION_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;
const RELOCATION_BYTES: usize = 16;
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const MACHINE_BPF: u16 = 247;
const SYMBOL_TABLE: u32 = 2;
const RELOCATIONS_WITH_ADDEND: u32 = 4;
const NO_BYTES: u32 = 8;
const RELOCATIONS: u32 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &[u8] = include_bytes!("../../bpf/steer.bpf.o");

    /// Reads all there is to read.
    fn read(bytes: &[u8]) -> Result<usize, ElfError> {
        let elf = Elf::parse(bytes)?;
        let mut seen = elf.symbols()?.len();
        for section in elf.sections() {
            let (index, section) = section?;
            seen += section.bytes.len() + elf.relocations(index)?.len();
        }
        Ok(seen)
    }

    #[test]
    fn finds_sections_symbols_and_relocations() {
        let elf = Elf::parse(OBJECT).unwrap();
        let (index, section) = elf.section_named("xdp.frags").unwrap();
        assert_eq!(section.bytes.len() % 8, 0);
        let symbols = elf.symbols().unwrap();
        let steer = symbols.iter().find(|symbol| symbol.name == "steer");
        assert_eq!(steer.map(|symbol| symbol.section), Some(index));
        let relocations = elf.relocations(index).unwrap();
        assert!(relocations.iter().any(|one| one.symbol.name == "rules"));
        assert!(elf.section_named("no such section").is_err());
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        for length in 0..OBJECT.len() {
            assert!(read(&OBJECT[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn no_changed_byte_makes_it_panic() {
        let mut bytes = OBJECT.to_vec();
        let mut refused = 0;
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let kept = std::mem::replace(&mut bytes[at], value);
                refused += usize::from(read(&bytes).is_err());
                bytes[at] = kept;
            }
        }
        assert!(refused > 0);
    }
}
