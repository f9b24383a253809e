//! Does the host forward for real servers whose gateway it is?

use super::case::Case;
use super::report::Check;

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("forwarding");
    for (is_v4, path, family) in [
        (true, "ipv4/ip_forward", "IPv4"),
        (false, "ipv6/conf/all/forwarding", "IPv6"),
    ] {
        let mut masqueraded = case.masquerades();
        let needed = masqueraded.any(|it| it.address.is_ipv4() == is_v4);
        if needed && case.host.setting(path) == Some(0) {
            let what = format!(
                "This host does not forward {family}. Services work without; but it is the \
                 gateway of masqueraded real servers, and all else they send (names they look up, \
                 updates they fetch) ends here."
            );
            let mend = format!("sysctl -w net.{}=1", path.replace('/', "."));
            check.warn(what, [mend]);
        }
    }
    check
}
