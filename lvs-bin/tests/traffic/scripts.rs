//! Shell scripts of the kind that operators have, which know only `ipvsadm`, run
//! as they are: `scripts/NAME.sh` prints what is in `NAME.out`.
//!
//! That is what they print with Linux 6.12 and ipvsadm 1.31, but for the size of the
//! connection table.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use lvs::world::{Method, Plan};

use crate::running::{Running, text};

#[test]
fn scripts_run_as_they_are() {
    let plan = Plan::new(Method::Masquerade);
    let whole = text(&plan, "packet", 1);
    let bare = whole.split("[[service]]").next().unwrap();
    let Some(running) = Running::start_with(plan, bare) else {
        return;
    };
    let programs = running.file.with_file_name("programs");
    std::fs::create_dir_all(&programs).unwrap();
    let ipvsadm = programs.join("ipvsadm");
    let _ = std::fs::remove_file(&ipvsadm);
    symlink(env!("CARGO_BIN_EXE_lvs"), &ipvsadm).unwrap();
    let others = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{others}", programs.display());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traffic/scripts");
    for (name, wanted) in [
        ("web", include_str!("scripts/web.out")),
        ("service", include_str!("scripts/service.out")),
        ("drain", include_str!("scripts/drain.out")),
    ] {
        let script = scripts.join(name).with_extension("sh");
        let output = Command::new("sh")
            .arg(&script)
            .env("PATH", &path)
            .env("LVS_SOCKET", running.socket())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((&*printed, &*said), (wanted, ""), "{name}");
        assert!(output.status.success(), "{name}: {}", output.status);
    }
    std::fs::remove_dir_all(&programs).unwrap();
}
