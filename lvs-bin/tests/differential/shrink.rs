//! The smallest scenario that still differs.

use serde_json::{Value, json};

use crate::difference;
use crate::guest::{Guest, is_sound};

/// Takes away steps and commands as long as what is left still differs.
///
/// All ways of taking away a piece are tried in one boot of the guest.
pub(crate) fn smallest(guest: &Guest, recorded: &Value) -> Value {
    let mut best = recorded.clone();
    let Some(sought) = kind(&best) else {
        return best;
    };
    let mut piece = length(&best).div_ceil(2);
    while piece > 0 {
        let candidates: Vec<Value> = (0..length(&best))
            .step_by(piece)
            .map(|at| without(&best, at, piece))
            .collect();
        let played = guest.play(&candidates);
        let is_such = |played: &Value| kind(played).as_ref() == Some(&sought);
        match played
            .into_iter()
            .find(|played| is_sound(played) && is_such(played))
        {
            Some(smaller) => {
                best = smaller;
                piece = piece.min(length(&best).div_ceil(2));
            }
            None => piece /= 2,
        }
    }
    best
}

/// In what kind of step a scenario differs: a command by name, others by theirs.
/// What is looked at too early, for want of a wait, is another matter.
fn kind(recorded: &Value) -> Option<String> {
    let why = difference(recorded)?;
    let (_, step) = why.split_once('(')?;
    let words = if step.starts_with("ipvsadm") { 3 } else { 1 };
    Some(step.split(' ').take(words).collect::<Vec<_>>().join(" "))
}

fn list<'v>(scenario: &'v Value, name: &str) -> &'v [Value] {
    scenario[name].as_array().map_or(&[], Vec::as_slice)
}

/// Commands and steps together.
fn length(scenario: &Value) -> usize {
    list(scenario, "setup").len() + list(scenario, "steps").len()
}

/// The scenario without a piece of its commands and steps, unplayed.
fn without(scenario: &Value, at: usize, piece: usize) -> Value {
    let mut smaller = scenario.clone();
    let commands = list(scenario, "setup").len();
    let stays = |place: usize| !(at..at + piece).contains(&place);
    for (name, first) in [("setup", 0), ("steps", commands)] {
        let all = list(scenario, name).iter().enumerate();
        let kept: Vec<&Value> = all
            .filter(|(place, _)| stays(first + place))
            .map(|(_, value)| value)
            .collect();
        smaller[name] = json!(kept);
    }
    smaller
}
