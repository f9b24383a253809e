//! The order in which services and real servers are listed.
//!
//! The tool subtracts what it compares as 32-bit numbers and takes the sign of
//! the difference, which is wrong when the two are more than half the range
//! apart: 203.0.113.80 comes before 10.0.0.1, and a mark of 4294967295 before
//! none. What order comes of such comparisons depends on which are made, so the
//! sorting is that of the C library too.

use std::net::{IpAddr, SocketAddr};

use lvs_core::{Family, ServiceKey};

use super::super::table::Service;

/// Services in the order of listings, and the real servers of each.
pub(in super::super) fn sorted(mut services: Vec<Service>) -> Vec<Service> {
    for service in &mut services {
        service.real_servers = merge_sort(std::mem::take(&mut service.real_servers), &|a, b| {
            compare_ends(a.address, b.address)
        });
    }
    merge_sort(services, &|a, b| compare_keys(&a.key, &b.key))
}

/// Sorts by merging: the first half, rounded down, and the second, each sorted
/// by itself; of two that are equal, the first comes first.
fn merge_sort<T>(mut items: Vec<T>, compare: &impl Fn(&T, &T) -> i32) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let second = items.split_off(items.len() / 2);
    let mut first = merge_sort(items, compare).into_iter().peekable();
    let mut second = merge_sort(second, compare).into_iter().peekable();
    let mut merged = Vec::with_capacity(first.len() + second.len());
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        let next = if compare(a, b) <= 0 {
            first.next()
        } else {
            second.next()
        };
        merged.extend(next);
    }
    merged.extend(first);
    merged.extend(second);
    merged
}

/// Less than, equal to or greater than zero: marks, families, protocols,
/// addresses, ports.
fn compare_keys(a: &ServiceKey, b: &ServiceKey) -> i32 {
    let mark = |key: &ServiceKey| match key {
        ServiceKey::Address { .. } => 0,
        ServiceKey::Mark { mark, .. } => mark.get(),
    };
    let family = |key: &ServiceKey| match key.family() {
        Family::V4 => 0,
        Family::V6 => 1,
    };
    let protocol = |key: &ServiceKey| key.protocol().map_or(0, |it| u32::from(it.number()));
    let numbers = [
        (mark(a), mark(b)),
        (family(a), family(b)),
        (protocol(a), protocol(b)),
    ];
    first_difference(numbers).unwrap_or_else(|| match (a.address(), b.address()) {
        (Some(a), Some(b)) => compare_ends(a, b),
        _ => 0,
    })
}

/// Addresses, then ports. Of two families, as many bits are compared as the
/// first of the two has.
fn compare_ends(a: SocketAddr, b: SocketAddr) -> i32 {
    let (left, right) = (words(a.ip()), words(b.ip()));
    let length = if a.is_ipv4() { 1 } else { 4 };
    let addresses = left.into_iter().zip(right).take(length);
    let ports = (u32::from(a.port()), u32::from(b.port()));
    first_difference(addresses.chain([ports])).unwrap_or(0)
}

/// The first difference that is not zero, wrapped.
fn first_difference(pairs: impl IntoIterator<Item = (u32, u32)>) -> Option<i32> {
    pairs
        .into_iter()
        .map(|(a, b)| a.wrapping_sub(b).cast_signed())
        .find(|difference| *difference != 0)
}

/// An address as four words; those an IPv4 address does not have are zero.
fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(v4) => [v4.to_bits(), 0, 0, 0],
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(newest_first: &[&str]) -> Vec<String> {
        let ends = newest_first.iter().map(|end| end.parse().unwrap());
        let sorted = merge_sort(ends.collect(), &|a, b| compare_ends(*a, *b));
        sorted.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn addresses_far_apart_are_listed_as_the_tool_lists_them() {
        let ends = [
            "9.9.9.9:80",
            "240.0.0.1:80",
            "[2001:db8:20::12]:80",
            "[2001:db8:20::11]:80",
            "127.0.0.1:80",
            "203.0.113.80:80",
            "10.20.0.11:80",
        ];
        let listed = [
            "203.0.113.80:80",
            "240.0.0.1:80",
            "9.9.9.9:80",
            "10.20.0.11:80",
            "[2001:db8:20::11]:80",
            "[2001:db8:20::12]:80",
            "127.0.0.1:80",
        ];
        assert_eq!(order(&ends), listed);
    }

    #[test]
    fn near_ones_are_in_order() {
        let listed = [
            "10.0.0.1:80",
            "10.0.0.1:81",
            "10.0.0.2:80",
            "[2001:db8::1]:80",
        ];
        let ends = [listed[3], listed[1], listed[2], listed[0]];
        assert_eq!(order(&ends), listed);
    }
}
