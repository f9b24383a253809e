//! Services and real servers by what passed (`--stats`) or passes in a second
//! (`--rate`).

use std::fmt::Write;

use lvs_core::Traffic;

use super::super::address::Shown;
use super::super::command::{Format, View};
use super::super::table::Service;
use super::REAL_SERVER;
use super::services::named;

/// The titles and the lines of services.
pub(super) fn listed(services: &[Service], format: &Format, shown: &Shown<'_>) -> String {
    let rates = format.view == View::Rate;
    let titles = if rates {
        ["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]
    } else {
        ["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]
    };
    let mut text = format!("{:<33}", "Prot LocalAddress:Port");
    // Writing to a text cannot fail.
    for title in titles {
        let _ = write!(text, " {title:>8}");
    }
    text.push_str("\n  -> RemoteAddress:Port\n");
    for service in services {
        let traffic = if rates {
            service.rates
        } else {
            service.traffic
        };
        let _ = write!(text, "{:<33}", named(&service.key, shown));
        for number in numbers(&traffic) {
            text.push_str(&large(number, format.exact));
        }
        text.push('\n');
        for real_server in &service.real_servers {
            let protocol = service.key.protocol();
            let end = shown.end_within(real_server.address, protocol, REAL_SERVER);
            let _ = write!(text, "  -> {end:<28}");
            let traffic = if rates {
                real_server.rates
            } else {
                real_server.traffic
            };
            for (place, number) in numbers(&traffic).into_iter().enumerate() {
                // Rates but those of bytes are never shortened.
                if rates && place < 3 {
                    let _ = write!(text, " {number:>8}");
                } else {
                    text.push_str(&large(number, format.exact));
                }
            }
            text.push('\n');
        }
    }
    text
}

/// The columns.
const fn numbers(traffic: &Traffic) -> [u64; 5] {
    [
        traffic.connections,
        traffic.packets_in,
        traffic.packets_out,
        traffic.bytes_in,
        traffic.bytes_out,
    ]
}

/// A number nine characters wide with the blank before it, in thousands,
/// millions and so on if it would not fit.
fn large(number: u64, exact: bool) -> String {
    if exact {
        let digits = number.to_string();
        let width = (digits.len() + 1).max(9);
        return format!("{digits:>width$}");
    }
    match number {
        0..100_000_000 => format!("{number:>9}"),
        100_000_000..1_000_000_000 => format!("{:>8}K", number / 1_000),
        1_000_000_000..100_000_000_000 => format!("{:>8}M", number / 1_000_000),
        100_000_000_000..100_000_000_000_000 => format!("{:>8}G", number / 1_000_000_000),
        _ => format!("{:>8}T", number / 1_000_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_width() {
        assert_eq!(large(99_999_999, false), " 99999999");
        assert_eq!(large(107_100_000, false), "  107100K");
        assert_eq!(large(1_000_000_000, false), "    1000M");
        assert_eq!(large(100_000_000_000, false), "     100G");
        assert_eq!(large(u64::MAX, false), "18446744T");
        assert_eq!(large(107_100_000, true), " 107100000");
        assert_eq!(large(7, true), "        7");
    }
}
