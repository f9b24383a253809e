//! IPv4 options (RFC 791 section 3.1): the few a host deals with itself before
//! a packet to its own address goes anywhere.
//!
//! ```text
//!  0      1        2         3
//!  | type | length | pointer | route data ...     record route, source routes
//! ```
//!
//! A director is a host to its clients, so what a host does with options it
//! does too: it records its address in a recorded route, and leaves packets
//! that ask for a route of their own to the host, which as a rule refuses them.

use core::net::Ipv4Addr;

use super::ipv4::HEADER;

/// Whether a packet with these options is for a director to forward: they are
/// well-formed and ask for no route.
pub(crate) fn are_plain(mut options: &[u8]) -> bool {
    while let Some((&kind, rest)) = options.split_first() {
        options = match kind {
            END => return true,
            NO_OPERATION => rest,
            LOOSE_ROUTE | STRICT_ROUTE => return false,
            _ => match rest.first() {
                Some(&length) if length >= 2 && usize::from(length) <= options.len() => {
                    &options[usize::from(length)..]
                }
                _ => return false,
            },
        };
    }
    true
}

/// Records `address` in the recorded route of an IPv4 header with its options,
/// if there is one with room; whether anything changed. The header's checksum
/// is the caller's.
pub(crate) fn record_route(header: &mut [u8], address: Ipv4Addr) -> bool {
    let mut at = HEADER;
    while let Some(&kind) = header.get(at) {
        let length = match (kind, header.get(at + 1)) {
            (NO_OPERATION, _) => 1,
            (END, _) | (_, None | Some(0)) => return false,
            (_, Some(length)) => usize::from(*length),
        };
        if kind == RECORD_ROUTE {
            let Some(option) = header.get_mut(at..at + length) else {
                return false;
            };
            return record(option, address);
        }
        at += length;
    }
    false
}

/// Replaces options that only a datagram's first fragment has by no operation
/// (RFC 791 section 3.1, the copied flag; lengths stay).
pub(crate) fn keep_copied(mut options: &mut [u8]) {
    while let [kind, rest @ ..] = options {
        let length = match (*kind, rest.first()) {
            (NO_OPERATION, _) => 1,
            (END, _) | (_, None | Some(0 | 1)) => return,
            (_, Some(length)) => usize::from(*length),
        };
        let copied = *kind & COPIED != 0;
        let Some((option, behind)) = options.split_at_mut_checked(length) else {
            return;
        };
        if !copied {
            option.fill(NO_OPERATION);
        }
        options = behind;
    }
}

/// Puts `address` where the pointer of a record route option says, counted
/// from one, and moves the pointer on.
fn record(option: &mut [u8], address: Ipv4Addr) -> bool {
    let Some(&pointer) = option.get(2) else {
        return false;
    };
    let place = usize::from(pointer).wrapping_sub(1);
    match option.get_mut(place..place.wrapping_add(4)) {
        Some(room) if place >= 3 => {
            room.copy_from_slice(&address.octets());
            option[2] = pointer + 4;
            true
        }
        _ => false,
    }
}

/// The flag of options that every fragment has.
const COPIED: u8 = 0x80;
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const LOOSE_ROUTE: u8 = 131;
const STRICT_ROUTE: u8 = 137;

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);

    fn recorded(options: &[u8]) -> Option<[u8; 12]> {
        let mut header = [0u8; HEADER + 12];
        header[HEADER..HEADER + options.len()].copy_from_slice(options);
        let changed = record_route(&mut header, VIP);
        let mut after = [0u8; 12];
        after.copy_from_slice(&header[HEADER..]);
        changed.then_some(after)
    }

    #[test]
    fn an_address_is_recorded_where_the_pointer_says() {
        let first = recorded(&[1, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(first, [1, 7, 11, 8, 203, 0, 113, 80, 0, 0, 0, 0]);
        let second = recorded(&[1, 7, 11, 8, 9, 9, 9, 9, 0, 0, 0, 0]).unwrap();
        assert_eq!(second, [1, 7, 11, 12, 9, 9, 9, 9, 203, 0, 113, 80]);
    }

    #[test]
    fn no_room_or_no_sense_changes_nothing() {
        for options in [
            &[7, 7, 8, 1, 2, 3, 4][..],
            &[7, 7, 5, 1, 2, 3, 4],
            &[7, 7, 0, 0, 0, 0, 0],
            &[7, 2, 4, 0],
            &[7, 200, 4, 0],
            &[7, 0],
            &[148, 4, 0, 0],
            &[0, 7, 7, 4, 0, 0, 0, 0],
        ] {
            assert_eq!(recorded(options), None, "{options:?}");
        }
    }

    #[test]
    fn routes_and_nonsense_are_not_plain() {
        for (options, plain) in [
            (&[][..], true),
            (&[1, 1, 1, 0], true),
            (&[148, 4, 0, 0], true),
            (&[7, 7, 4, 0, 0, 0, 0, 0], true),
            (&[131, 7, 4, 0, 0, 0, 0, 0], false),
            (&[1, 137, 7, 4, 0, 0, 0, 0], false),
            (&[148, 5, 0, 0], false),
            (&[148, 1, 0, 0], false),
            (&[1, 1, 1, 148], false),
        ] {
            assert_eq!(are_plain(options), plain, "{options:?}");
        }
    }
}
