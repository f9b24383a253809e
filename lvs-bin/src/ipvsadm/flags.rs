//! The switches of a scheduler, by name.

use lvs_core::config::SchedulerFlags;

use super::messages::Fault;

/// Reads the names of switches, set apart by commas, for a scheduler.
///
/// *Errors:* a name that is none, or is another scheduler's.
pub(super) fn parse(text: &str, scheduler: &str) -> Result<SchedulerFlags, Fault> {
    let mut flags = SchedulerFlags::default();
    for name in text.split(',').filter(|name| !name.is_empty()) {
        let (own, flag) = match name {
            "flag-1" => (None, &mut flags.fallback),
            "flag-2" => (None, &mut flags.port),
            "flag-3" => (None, &mut flags.third),
            "sh-fallback" => (Some("sh"), &mut flags.fallback),
            "sh-port" => (Some("sh"), &mut flags.port),
            "mh-fallback" => (Some("mh"), &mut flags.fallback),
            "mh-port" => (Some("mh"), &mut flags.port),
            _ => return Err(Fault::Usage(format!("invalid scheduler flag `{name}'"))),
        };
        if own.is_some_and(|own| own != scheduler) {
            let text = format!("incompatible scheduler flag `{name}'");
            return Err(Fault::Usage(text));
        }
        *flag = true;
    }
    Ok(flags)
}

/// The names of the switches that are on; `None` if none is. Those of `sh` and
/// `mh` have names for the first two only.
pub(super) fn shown(flags: SchedulerFlags, scheduler: &str) -> Option<String> {
    if flags == SchedulerFlags::default() {
        return None;
    }
    let names = match scheduler {
        "sh" => ["sh-fallback", "sh-port", ""],
        "mh" => ["mh-fallback", "mh-port", ""],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    let on = [flags.fallback, flags.port, flags.third];
    let named = names.into_iter().zip(on);
    let shown: Vec<&str> = named
        .filter(|(name, on)| *on && !name.is_empty())
        .map(|(name, _)| name)
        .collect();
    Some(shown.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_schedulers_own() {
        assert!(parse("sh-port", "sh").unwrap().port);
        let message = |text, scheduler| parse(text, scheduler).unwrap_err().to_string();
        assert_eq!(
            message("sh-port", "rr"),
            "incompatible scheduler flag `sh-port'"
        );
        assert_eq!(message("a|b", "sh"), "invalid scheduler flag `a|b'");
        let all = parse("flag-1,,flag-2,flag-3", "").unwrap();
        assert_eq!(shown(all, "sh").unwrap(), "sh-fallback,sh-port");
        assert_eq!(shown(all, "rr").unwrap(), "flag-1,flag-2,flag-3");
        let third = parse("flag-3", "mh").unwrap();
        assert_eq!(shown(third, "mh").unwrap(), "", "on, and without a name");
        assert_eq!(shown(SchedulerFlags::default(), "mh"), None);
    }
}
