//! What a service has beside its address and its real servers: persistence,
//! one-packet scheduling, switches of its scheduler, settings of its own.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use lvs_core::config::{
    ClientMask, CpuList, Draft, Family, Persistence, Service, Setting, SettingError, Settings,
    Thresholds,
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
        own_settings(service, &settings, reading);
    }
}

/// Reads the settings of one service.
fn own_settings<'t>(service: &mut Service, fields: &Fields<'t>, reading: &mut Reading<'t>) {
    let of_director = |setting: &Setting| !setting.is_per_service();
    let others = Setting::ALL.into_iter().filter(of_director);
    for name in others.map(Setting::name).chain([EST_CPULIST]) {
        if let Some(span) = fields.given(name) {
            let what = format!("{name} is the whole director's: no service has its own");
            let help = "write it below [settings]";
            reading.fault(span, fields.place(name), what, help);
        }
    }
    let own = Setting::ALL.into_iter().filter(|it| it.is_per_service());
    each_setting(own, fields, reading, |setting, value| {
        service.settings.set(setting, value)
    });
}

/// Reads `[settings]`, the director's own, and on which processors rates are
/// worked out.
pub(super) fn settings<'t>(file: &Fields<'t>, reading: &mut Reading<'t>) -> (Settings, CpuList) {
    let (mut all, mut cpus) = (Settings::default(), CpuList::default());
    if let Some(fields) = file.table("settings", &names(), reading) {
        let is_pair = |setting: &Setting| {
            let pair = [Setting::SyncThreshold, Setting::SyncPeriod];
            pair.contains(setting)
        };
        let single = Setting::ALL.into_iter().filter(|it| !is_pair(it));
        each_setting(single, &fields, reading, |setting, value| {
            all.set(setting, value)
        });
        sync_threshold(&mut all, &fields, reading);
        if let Some(given) = estimation_cpus(&fields, reading) {
            cpus = given;
        }
    }
    (all, cpus)
}

/// Reads `sync_threshold`: one number, or two in a text as the kernel has them.
fn sync_threshold<'t>(all: &mut Settings, fields: &Fields<'t>, reading: &mut Reading<'t>) {
    let name = Setting::SyncThreshold.name();
    let Some(span) = fields.given(name) else {
        return;
    };
    let text = if fields.is_text(name) {
        fields.string(name, reading).map(|it| it.value.to_owned())
    } else {
        let (least, greatest) = Setting::SyncThreshold.range();
        let help = format!("leave it out for {}", Setting::SyncThreshold.default());
        let number = fields.signed(name, least..=greatest, &help, reading);
        number.map(|it| it.value.to_string())
    };
    let Some(text) = text else {
        return;
    };
    let mut draft = Draft {
        settings: *all,
        ..Draft::default()
    };
    // An empty text changes nothing with the kernel, and says nothing here.
    if text.is_empty() || draft.set_sysctl(name, &text, 1).is_err() {
        let period = all.get(Setting::SyncPeriod);
        let what = format!(
            "{name} is {}, but must be a number below its period, {period}, or both of them",
            reading.written(&span)
        );
        let help = "write both as in sync_threshold = \"3 50\"";
        return reading.fault(span, fields.place(name), what, help);
    }
    *all = draft.settings;
}

/// Reads `est_cpulist`.
fn estimation_cpus<'t>(fields: &Fields<'t>, reading: &mut Reading<'t>) -> Option<CpuList> {
    let Given { value, span } = fields.string(EST_CPULIST, reading)?;
    // The file may be for another host: how many processors it has is not asked.
    let list = CpuList::parse(value, CpuList::MOST);
    if list.is_err() {
        let what = format!("{EST_CPULIST} is {value:?}, but must be a list of processors");
        let help = "write it as in est_cpulist = \"0-3,8\"";
        reading.fault(span, fields.place(EST_CPULIST), what, help);
    }
    list.ok()
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

/// Reads each of these settings that is given and has `set` take its value.
fn each_setting<'t>(
    settings: impl Iterator<Item = Setting>,
    fields: &Fields<'t>,
    reading: &mut Reading<'t>,
    mut set: impl FnMut(Setting, i32) -> Result<(), SettingError>,
) {
    for setting in settings {
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

/// The names the kernel has: two of its settings are two numbers, and a list.
fn names() -> Vec<&'static str> {
    let all = Setting::ALL.into_iter();
    let named = all.filter(|setting| *setting != Setting::SyncPeriod);
    named.map(Setting::name).chain([EST_CPULIST]).collect()
}

const EST_CPULIST: &str = "est_cpulist";

/// The fields of a service's options.
pub(super) const FIELDS: [&str; 5] = ["persistent", "mask", "one_packet", "flags", "settings"];
/// Connections a threshold may name.
const CONNECTIONS: RangeInclusive<u64> = 0..=i32::MAX as u64;
/// 31 days, the longest that ipvsadm takes.
const SECONDS: RangeInclusive<u64> = 1..=31 * 86_400;
