//! Names for runs whose clients give none.

const MANNERS: [&str; 40] = [
    "able", "airy", "ample", "apt", "bold", "brisk", "calm", "civil", "clear", "crisp", "deft", "eager", "early",
    "even", "fair", "firm", "fleet", "frank", "fresh", "glad", "grand", "hardy", "keen", "kind", "light", "lucid",
    "mild", "neat", "noble", "plain", "proud", "quick", "quiet", "sharp", "solid", "sound", "steady", "sunny", "swift",
    "wise",
];

const BIRDS: [&str; 40] = [
    "avocet", "bittern", "bunting", "coot", "crake", "crane", "curlew", "dipper", "dove", "dunlin", "eider", "finch",
    "gannet", "godwit", "grebe", "gull", "heron", "hoopoe", "ibis", "jay", "kestrel", "kite", "knot", "lark", "linnet",
    "martin", "merlin", "osprey", "owl", "pipit", "plover", "rail", "robin", "rook", "siskin", "snipe", "stork",
    "swift", "tern", "wren",
];

pub fn random() -> String {
    let one = |words: &[&'static str; 40]| words[fastrand::usize(..words.len())];
    format!("{}-{}-{}", one(&MANNERS), one(&BIRDS), fastrand::u32(..1_000))
}
