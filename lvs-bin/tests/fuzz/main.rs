//! The fuzz target of the configuration file without a fuzzer: every file of
//! the corpus, and good files with pieces changed, lost and doubled.
//!
//! The package `fuzz/` feeds the same body from libFuzzer.

mod body;

#[path = "../../../lvs-core/tests/common/random.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod random;

use std::fs;
use std::path::Path;

use random::Random;

#[test]
fn every_text_is_a_configuration_or_has_faults() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = fs::read_dir(here.join("../fuzz/corpus/config_file")).unwrap();
    let mut texts: Vec<Vec<u8>> = corpus
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    texts.push(fs::read(here.join("lvs.example.toml")).unwrap());
    texts.iter().for_each(|text| body::run(text));
    let mut random = Random::new(0x70_31);
    for _ in 0..INPUTS {
        let mut text = texts[random.below(texts.len())].clone();
        for _ in 0..=random.below(4) {
            change(&mut text, &mut random);
        }
        body::run(&text);
    }
}

/// Changes a byte, loses a piece, or puts one in a second time.
fn change(text: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(text.len() + 1);
    let end = (at + random.below(40)).min(text.len());
    if random.once_in(3) {
        text.drain(at..end);
    } else if random.once_in(2) {
        let piece = text[at..end].to_vec();
        let to = random.below(text.len() + 1);
        text.splice(to..to, piece);
    } else if let Some(byte) = text.get_mut(at) {
        *byte = random.one_of(b"\"'[]{}=.,:\n09-azA_ #");
    }
}

const INPUTS: usize = 3000;
