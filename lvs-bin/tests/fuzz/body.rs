//! Any text as a configuration file.

use lvs::config::Settings;

/// Reads it: a configuration, or faults that each say what and where.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // What is missing at the end is told after the last line break.
    let lines = text.split('\n').count();
    let Err(faults) = Settings::parse("fuzz.toml", &text) else {
        return;
    };
    assert!(!faults.faults().is_empty(), "refused without a fault");
    for fault in faults.faults() {
        assert!(!fault.what.is_empty(), "{fault:?}");
        assert!(fault.line <= lines, "{fault:?} of {lines} lines");
        assert!((fault.line == 0) == (fault.column == 0), "{fault:?}");
    }
}
