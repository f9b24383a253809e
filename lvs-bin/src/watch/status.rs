//! `lvs status`: one look at a running director.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::amount;
use crate::api::shape::{RealServer, Service, Status, key_text};
use crate::api::{Client, ClientError};

/// What `lvs status` prints of the director at `socket`.
///
/// # Errors
///
/// There is none, or it cannot be asked.
pub fn status(socket: &Path, json: bool) -> Result<String, ClientError> {
    let status = look(&Client::connect(socket)?)?;
    Ok(match json {
        // What has no maps but of texts can always be written.
        true => serde_json::to_string_pretty(&status).unwrap_or_default() + "\n",
        false => Page(&status).to_string(),
    })
}

/// Looks at a director.
///
/// # Errors
///
/// It cannot be asked.
pub(super) fn look(client: &Client<'_>) -> Result<Status, ClientError> {
    client.get("/v1/status")
}

/// For people.
struct Page<'s>(&'s Status);

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.0;
        let uptime = amount::long(Duration::from_secs(status.uptime));
        writeln!(f, "lvs {} has been directing for {uptime}", status.version)?;
        for nic in &status.nics {
            writeln!(f, "  {nic}")?;
        }
        writeln!(f)?;
        totals(f, status)?;
        for sentence in &status.unreachable {
            writeln!(f, "unreachable  {sentence}")?;
        }
        writeln!(f, "\n{}", Table(&workers(status)))?;
        match status.services.is_empty() {
            true => writeln!(f, "no services: add one with lvs adm -A, or lvs apply"),
            false => write!(f, "{}", Table(&services(&status.services))),
        }
    }
}

fn totals(f: &mut fmt::Formatter<'_>, status: &Status) -> fmt::Result {
    let short = amount::short;
    let packets = &status.packets;
    writeln!(
        f,
        "packets      {} sent on, {} left to the host, {} dropped",
        short(packets.transmitted),
        short(packets.host),
        short(packets.dropped),
    )?;
    for (reason, count) in &status.drops {
        writeln!(f, "  dropped    {reason} {}", short(*count))?;
    }
    let connections = &status.connections;
    writeln!(
        f,
        "connections  {} of {}, {}",
        short(connections.held),
        short(connections.capacity),
        amount::percent_of(connections.held, connections.capacity),
    )?;
    let rates = &status.rates;
    writeln!(
        f,
        "a second     {} new connections, {} packets in ({}), {} out ({})",
        short(rates.connections),
        short(rates.packets_in),
        amount::bits(rates.bytes_in),
        short(rates.packets_out),
        amount::bits(rates.bytes_out),
    )
}

fn workers(status: &Status) -> Vec<Vec<String>> {
    let titles = [
        "worker",
        "load",
        "packets",
        "lost",
        "connections",
        "turn p99",
        "setup p99",
    ];
    let rows = status.workers.iter().enumerate().map(|(number, worker)| {
        vec![
            number.to_string(),
            amount::percent(worker.load),
            amount::short(worker.packets),
            amount::short(worker.lost),
            amount::short(worker.connections),
            amount::time(worker.turn.p99),
            amount::time(worker.connection_setup.p99),
        ]
    });
    titled(titles, rows)
}

fn services(services: &[Service]) -> Vec<Vec<String>> {
    let titles = [
        "service",
        "scheduler",
        "weight",
        "active",
        "inactive",
        "conn/s",
        "in/s",
        "out/s",
    ];
    let rows = services.iter().flat_map(|service| {
        let real_servers = service.real_servers.iter().flatten();
        let sum = |of: fn(&RealServer) -> u32| {
            let real_servers = service.real_servers.iter().flatten();
            real_servers.map(|it| u64::from(of(it))).sum()
        };
        let first = vec![
            key_text(&service.service),
            service.scheduler.clone(),
            String::new(),
            amount::short(sum(|it| it.active)),
            amount::short(sum(|it| it.inactive)),
            amount::short(service.rates.connections),
            amount::short(service.rates.packets_in),
            amount::short(service.rates.packets_out),
        ];
        let rest = real_servers.map(|it| {
            vec![
                format!("  {}", it.address),
                it.forwarding.short().to_owned(),
                it.weight.to_string(),
                amount::short(it.active.into()),
                amount::short(it.inactive.into()),
                amount::short(it.rates.connections),
                amount::short(it.rates.packets_in),
                amount::short(it.rates.packets_out),
            ]
        });
        std::iter::once(first).chain(rest)
    });
    titled(titles, rows)
}

fn titled<const N: usize>(
    titles: [&str; N],
    rows: impl Iterator<Item = Vec<String>>,
) -> Vec<Vec<String>> {
    let titles = titles.map(str::to_owned).to_vec();
    std::iter::once(titles).chain(rows).collect()
}

/// Rows in columns, the first to the left and the others to the right.
struct Table<'t>(&'t [Vec<String>]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths: Vec<usize> = Vec::new();
        for row in self.0 {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in self.0 {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "{cell:width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
