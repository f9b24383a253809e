//! What a service has beside its address and its real servers: persistence,
//! one-packet scheduling, switches of its scheduler, settings of its own.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use lvs_core::config::{
    ClientMask, Family, Persistence, Service, Setting, SettingError, Settings, Thresholds,
};

use super::fields::{Fields, Given, Reading};

/// Reads a service's options into it.
pub(super) fn read<'t>(service: &mut Service, fields: &Fields<'t>, reading: &mut Reading<'t>) {
    service.persistence = persistence(fields, service.key.family(), reading);
    if let Some(one_packet) = fields.switch("one_packet", reading) {
        service.one_packet = one_packet;
    }
    flags(service, fields, reading);
    if let Some(settings) = fields.table("settings", &names(), reading) {
        each_setting(&settings, reading, |setting, value| {
            service.settings.set(setting, value)
        });
    }
}

/// Reads `[settings]`, the director's own.
pub(super) fn settings<'t>(file: &Fields<'t>, reading: &mut Reading<'t>) -> Settings {
    let mut all = Settings::default();
    if let Some(fields) = file.table("settings", &names(), reading) {
        each_setting(&fields, reading, |setting, value| all.set(setting, value));
        check_pair(&all, &fields, reading);
    }
    all
}

/// The one rule that two settings have together: the kernel has them in one
/// (`sync_threshold`, ip_vs_ctl.c).
fn check_pair(all: &Settings, fields: &Fields<'_>, reading: &mut Reading<'_>) {
    let [threshold, period] = [Setting::SyncThreshold, Setting::SyncPeriod];
    let (least, most) = (all.get(threshold), all.get(period));
    let names = [threshold.name(), period.name()];
    let given = names
        .iter()
        .find_map(|name| Some((name, fields.given(name)?)));
    if let Some((name, span)) = given
        && most != 0
        && least >= most
    {
        let [threshold, period] = names;
        let what = format!("{threshold} is {least}, but must be below {period}, which is {most}");
        let help = format!("lower it, raise {period}, or write {period} = 0");
        reading.fault(span, fields.place(name), what, help);
    }
}

/// Reads a real server's thresholds.
pub(super) fn thresholds<'t>(fields: &Fields<'t>, reading: &mut Reading<'t>) -> Thresholds {
    let help = "connections; leave it out for no limit";
    let upper = fields.number("upper_threshold", CONNECTIONS, help, reading);
    let help = "connections; leave it out for three quarters of the upper one";
    let lower = fields.number("lower_threshold", CONNECTIONS, help, reading);
    let value = |given: Option<Given<u64>>| given.map_or(0, |given| given.value as u32);
    Thresholds {
        upper: value(upper),
        lower: value(lower),
    }
}

fn persistence<'t>(
    fields: &Fields<'t>,
    family: Family,
    reading: &mut Reading<'t>,
) -> Option<Persistence> {
    let help = "seconds from a client's last new connection; leave it out for none";
    let seconds = fields.number("persistent", SECONDS, help, reading);
    let mask = match family {
        Family::V4 => fields.string("mask", reading).and_then(|given| {
            let mask = given.value.parse::<Ipv4Addr>();
            if mask.is_err() {
                let what = format!("mask is {:?}, but must be an IPv4 mask", given.value);
                let help = "write the bits that count, as in mask = \"255.255.255.0\"";
                reading.fault(given.span.clone(), fields.place("mask"), what, help);
            }
            Some((ClientMask::V4(mask.ok()?), given.span))
        }),
        Family::V6 => {
            let help = "the leading bits that count of a client's address";
            let length = fields.number("mask", 1..=128, help, reading);
            length.map(|given| (ClientMask::V6(given.value as u8), given.span))
        }
    };
    if let (None, Some((_, span))) = (&seconds, &mask) {
        let what = "mask is given, but the service is not persistent";
        let help = "add persistent = 360, or remove it";
        reading.fault(span.clone(), fields.place("mask"), what, help);
    }
    let persistence = Persistence::new(Duration::from_secs(seconds?.value));
    Some(match mask {
        Some((mask, _)) => persistence.mask(mask),
        None => persistence,
    })
}

fn flags<'t>(service: &mut Service, fields: &Fields<'t>, reading: &mut Reading<'t>) {
    let place = fields.place("flags");
    for Given { value, span } in fields
        .strings("flags", reading)
        .map_or(vec![], |it| it.value)
    {
        match value {
            "fallback" | "sh-fallback" | "mh-fallback" => service.flags.fallback = true,
            "port" | "sh-port" | "mh-port" => service.flags.port = true,
            "flag-3" => service.flags.third = true,
            _ => {
                let what = format!("flags has {value:?}, but knows fallback, port, flag-3 only");
                let help = "write one of them, or remove it";
                reading.fault(span, place.as_str(), what, help);
            }
        }
    }
}

/// Reads every setting that is given and has `set` take its value.
fn each_setting<'t>(
    fields: &Fields<'t>,
    reading: &mut Reading<'t>,
    mut set: impl FnMut(Setting, i32) -> Result<(), SettingError>,
) {
    for setting in Setting::ALL {
        let (least, greatest) = setting.range();
        let name = setting.name();
        let help = format!("leave it out for {}", setting.default());
        let Some(given) = fields.signed(name, least..=greatest, &help, reading) else {
            continue;
        };
        if let Err(error) = set(setting, given.value) {
            reading.fault(given.span, fields.place(name), error.to_string(), help);
        }
    }
}

fn names() -> Vec<&'static str> {
    Setting::ALL.map(Setting::name).to_vec()
}

/// The fields of a service's options.
pub(super) const FIELDS: [&str; 5] = ["persistent", "mask", "one_packet", "flags", "settings"];
/// Connections a threshold may name.
const CONNECTIONS: RangeInclusive<u64> = 0..=i32::MAX as u64;
/// 31 days, the longest that ipvsadm takes.
const SECONDS: RangeInclusive<u64> = 1..=31 * 86_400;
