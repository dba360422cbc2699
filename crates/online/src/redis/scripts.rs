//! What runs inside the server, each script whole or not at all. So a read of several look-ups is one round trip of one
//! moment, and a write asks whether it may and writes in one step.

/// The scripts, in the order they are loaded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Read,
    List,
    Keys,
    Many,
    Take,
    Renew,
    Give,
    Fill,
    Point,
    Merge,
    Put,
    Drop,
    Filling,
    Begin,
    More,
    Mark,
    Finish,
}

pub(super) const ALL: [Script; 17] = [
    Script::Read,
    Script::List,
    Script::Keys,
    Script::Many,
    Script::Take,
    Script::Renew,
    Script::Give,
    Script::Fill,
    Script::Point,
    Script::Merge,
    Script::Put,
    Script::Drop,
    Script::Filling,
    Script::Begin,
    Script::More,
    Script::Mark,
    Script::Finish,
];

const NAMES: &str = include_str!("scripts/names.lua");
const WRITING: &str = include_str!("scripts/writing.lua");

impl Script {
    pub fn text(self) -> String {
        match self {
            Script::Read => reading(include_str!("scripts/read.lua")),
            Script::List => reading(include_str!("scripts/list.lua")),
            Script::Keys => reading(include_str!("scripts/keys.lua")),
            Script::Many => reading(include_str!("scripts/many.lua")),
            Script::Take => writing(include_str!("scripts/take.lua")),
            Script::Renew => writing(include_str!("scripts/renew.lua")),
            Script::Give => writing(include_str!("scripts/give.lua")),
            Script::Fill => writing(include_str!("scripts/fill.lua")),
            Script::Point => writing(include_str!("scripts/point.lua")),
            Script::Merge => writing(include_str!("scripts/merge.lua")),
            Script::Put => writing(include_str!("scripts/put.lua")),
            Script::Drop => writing(include_str!("scripts/drop.lua")),
            Script::Filling => reading(include_str!("scripts/filling.lua")),
            Script::Begin => writing(include_str!("scripts/begin.lua")),
            Script::More => writing(include_str!("scripts/more.lua")),
            Script::Mark => writing(include_str!("scripts/mark.lua")),
            Script::Finish => writing(include_str!("scripts/finish.lua")),
        }
    }
}

fn reading(own: &str) -> String {
    format!("{NAMES}\n{own}")
}

fn writing(own: &str) -> String {
    format!("{NAMES}\n{WRITING}\n{own}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_loaded_at_its_own_place() {
        for (place, script) in ALL.into_iter().enumerate() {
            assert_eq!(script as usize, place, "{script:?}");
        }
    }
}
