//! What the player of recordings calls a difference: everything but what may
//! differ, and it says where.

#[path = "recordings/differences.rs"]
mod differences;
#[path = "recordings/fields.rs"]
mod fields;
#[path = "recordings/frame.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod frame;
#[path = "recordings/headers.rs"]
mod headers;
#[path = "recordings/listing.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod listing;
#[path = "recordings/scenario.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod scenario;
#[path = "recordings/transports.rs"]
mod transports;

use listing::Form;
use lvs_core::Port;
use scenario::Sent;

const TITLES: &str = "IPVS connection entries\n\
    pro expire state       source             virtual            destination\n";
const ONE: &str = "TCP 14:59  ESTABLISHED 198.51.100.1:4000  203.0.113.80:80    10.20.0.11:80\n";
const OTHER: &str = "UDP 00:00  UDP         198.51.100.1:4001  203.0.113.80:53    10.20.0.11:53\n";

/// Whether a recorded listing of connections is this one, which has the same
/// time left at most and at least.
fn is_listed(recorded: &str, mine: &str) -> bool {
    is_between(recorded, mine, mine)
}

fn is_between(recorded: &str, most: &str, least: &str) -> bool {
    let [recorded, most, least] = [recorded, most, least].map(|lines| TITLES.to_owned() + lines);
    let form = Form::of(&recorded).unwrap();
    listing::connections(&recorded, form, &most, &least) == recorded
}

#[test]
fn connections_may_be_listed_in_any_order() {
    assert!(is_listed(&[ONE, OTHER].concat(), &[OTHER, ONE].concat()));
}

#[test]
fn connections_must_be_the_same_ones() {
    assert!(!is_listed(ONE, ""));
    assert!(!is_listed("", ONE));
    assert!(!is_listed(ONE, &[ONE, ONE].concat()));
    assert!(!is_listed(ONE, &ONE.replace("10.20.0.11", "10.20.0.12")));
    assert!(!is_listed(
        ONE,
        &ONE.replace("ESTABLISHED ", "ESTABLISHED  ")
    ));
}

#[test]
fn the_time_left_must_be_between_the_least_and_the_most() {
    let [later, sooner] = ["15:00", "14:58"].map(|left| ONE.replace("14:59", left));
    assert!(is_between(ONE, &later, ONE));
    assert!(is_between(ONE, ONE, &sooner));
    assert!(!is_between(ONE, &later, &later));
    assert!(!is_between(ONE, &sooner, &sooner));
}

#[test]
fn what_ends_may_have_ended() {
    assert!(is_listed(OTHER, ""), "its timer is late in the kernel");
    assert!(is_between("", ONE, ""), "it may have ended here");
    assert!(!is_between("", ONE, ONE));
}

#[test]
fn files_of_connections_have_their_seconds_at_the_end() {
    let titles =
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n";
    let with = |seconds: &str| {
        format!("{titles}TCP C6336401 0FA0 CB007150 0050 0A14000D 0050 SYN_RECV    {seconds}\n")
    };
    let form = Form::of(titles).unwrap();
    let agreed = |recorded: &str, most: &str, least: &str| {
        let recorded = with(recorded);
        listing::connections(&recorded, form, &with(most), &with(least)) == recorded
    };
    assert!(agreed("     99", "    100", "     99"));
    assert!(agreed("    100", "    100", "     99"));
    assert!(!agreed("     98", "    100", "     99"));
    assert!(!agreed("    101", "    100", "     99"));
}

#[test]
fn services_may_be_listed_in_any_order_but_not_their_real_servers() {
    let (a, b) = ("TCP  a\n  -> 1\n  -> 2\n", "TCP  b\n  -> 3\n");
    let is_same = |recorded: String, mine: String| listing::services(&recorded, &mine) == recorded;
    assert!(is_same([a, b].concat(), [b, a].concat()));
    assert!(!is_same(a.into(), "TCP  a\n  -> 2\n  -> 1\n".into()));
    assert!(!is_same([a, b].concat(), a.into()));
    assert!(!is_same(a.into(), [a, a].concat()));
}

#[test]
fn texts_are_told_apart_line_by_line() {
    let told = differences::lines("a\nb\nc\n", "a\nx\nc\nd\n");
    assert_eq!(told, "  a\n- b\n+ x\n  c\n+ d\n");
    let long: String = (0..20).map(|number| format!("{number}\n")).collect();
    let told = differences::lines(&long, &long.replace("\n10\n", "\nten\n"));
    assert!(told.starts_with("  (7 lines as recorded)\n  7\n"), "{told}");
    assert!(told.contains("- 10\n+ ten\n"), "{told}");
    let told = differences::lines("a\n", "a");
    assert!(told.contains("\"a\\n\""), "the end of the line: {told}");
}

fn bytes(digits: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(digit).collect()
}

fn sent(frame: &[u8]) -> Sent {
    Sent {
        port: Port(1),
        frame: frame.to_vec(),
        vary: Vec::new(),
    }
}

/// IPv4 with TCP; IPv6 with UDP, GUE and the same again.
fn frames() -> [Vec<u8>; 2] {
    [
        "02000000200b02000000200108004500003c123440003f06f534c63364010a14000b\
         0fa00050000003e800000000a0022000cfd40000020405b40402080a000010000000000001030307",
        "02000000200b02000000200186dd600000000048113f20010db80020000000000000\
         0000000120010db80020000000000000000000118b8617c000486704000400004500003c\
         123440003f06c302c6336401cb0071500fa00050000003e800000000a00220009da20000\
         020405b40402080a000010000000000001030307",
    ]
    .map(bytes)
}

#[test]
fn a_byte_that_differs_is_found_with_its_field() {
    for frame in frames() {
        assert!(
            fields::checksums_fit(&frame),
            "{}",
            fields::described(&frame)
        );
        let same = differences::frames(&[sent(&frame)], &[(Port(1), frame.clone())]);
        assert_eq!(same, None);
        for at in 0..frame.len() {
            let mut other = frame.clone();
            other[at] ^= 1;
            let told = differences::frames(&[sent(&frame)], &[(Port(1), other)]).unwrap();
            assert!(told.contains(&format!("first at byte {at}, in ")), "{told}");
        }
    }
    let [frame, _] = frames();
    for (at, name) in [
        (0, "Ethernet destination"),
        (22, "IPv4 TTL"),
        (33, "IPv4 destination address"),
        (37, "TCP destination port"),
        (60, "TCP options"),
    ] {
        assert_eq!(fields::field(&frame, at).0, name);
    }
}

#[test]
fn a_frame_too_many_too_few_too_long_or_elsewhere_differs() {
    let [frame, other] = frames();
    let differ =
        |recorded: &[Sent], got: &[(Port, Vec<u8>)]| differences::frames(recorded, got).is_some();
    let got = |port: u8, frame: &[u8]| (Port(port), frame.to_vec());
    assert!(differ(&[], &[got(1, &frame)]));
    assert!(differ(&[sent(&frame)], &[]));
    assert!(differ(&[sent(&frame)], &[got(0, &frame)]));
    assert!(differ(
        &[sent(&frame)],
        &[got(1, &[&frame[..], &[0]].concat())]
    ));
    assert!(differ(
        &[sent(&frame)],
        &[got(1, &frame[..frame.len() - 1])]
    ));
    let (one, two) = (got(1, &frame), got(1, &other));
    assert!(differ(&[sent(&other), sent(&frame)], &[one, two]));
}

#[test]
fn bytes_that_vary_may_but_their_checksum_must_fit() {
    let [frame, _] = frames();
    let mut recorded = sent(&frame);
    recorded.vary = vec![18..=19, 24..=25];
    let mut other = frame;
    other[19] += 1;
    let told = |frame: &[u8]| {
        let sent = Sent {
            vary: recorded.vary.clone(),
            ..sent(&recorded.frame)
        };
        differences::frames(&[sent], &[(Port(1), frame.to_vec())])
    };
    assert!(told(&other).unwrap().contains("does not fit"));
    other[25] -= 1;
    assert_eq!(told(&other), None);
    other[20] = 0;
    assert!(told(&other).unwrap().contains("first at byte 20"));
}

#[test]
fn whatever_a_frame_is_it_can_be_told() {
    for frame in frames() {
        for length in 0..frame.len() {
            for at in 0..length {
                let mut odd = frame[..length].to_vec();
                odd[at] ^= 0xff;
                fields::described(&odd);
                fields::field(&odd, at);
            }
        }
    }
}

/// What is said of a recording with this text.
fn said_of(json: &str) -> String {
    let mut compressed = Vec::new();
    lzma_rs::xz_compress(&mut json.as_bytes(), &mut compressed).unwrap();
    scenario::read(&compressed).map(|_| ()).unwrap_err()
}

#[test]
fn what_is_no_recording_is_told_in_words() {
    let steps = |steps: &str| said_of(&format!("[{{\"name\": \"a/b\", \"steps\": [{steps}]}}]"));
    assert!(scenario::read(b"hello").is_err_and(|why| why.contains("xz")));
    assert!(said_of("hello").starts_with("it is no JSON: "));
    assert_eq!(said_of("{}"), "it is no list of scenarios");
    let send = |what: &str| steps(&format!("{{\"op\": \"send\", \"t\": 0, {what}}}"));
    for (said, why) in [
        (steps("{\"op\": \"wait\"}"), "t is a number"),
        (steps("{\"op\": \"run\"}"), "rc is a number"),
        (send("\"if\": \"cli\""), "a frame is a text"),
        (
            send("\"if\": \"cli\", \"frame\": \"0g\""),
            "a frame is in hexadecimal",
        ),
        (
            send("\"if\": \"eth0\", \"frame\": \"00\""),
            "if is Some(\"eth0\"), but must be cli or rs",
        ),
    ] {
        assert_eq!(said, format!("scenario \"a/b\": {why}"));
    }
}
