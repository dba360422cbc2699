use encoding_rs::{Encoding, UTF_8};
use karat_core::TimeFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a CSV file is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// A label of the WHATWG Encoding Standard, such as `utf-8`, `windows-1252` (which `latin-1` means there too) or
    /// `macintosh`. A byte order mark in the file wins.
    #[serde(default = "utf_8", skip_serializing_if = "is_utf_8")]
    pub encoding: String,
    #[serde(default = "comma")]
    pub delimiter: char,
    #[serde(default = "double_quote")]
    pub quote: char,
    /// What stands before a number's fraction.
    #[serde(default = "point", skip_serializing_if = "is_point")]
    pub decimal: char,
    /// What groups a number's thousands; a blank stands for the unbreakable ones too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thousands: Option<char>,
    #[serde(default = "yes")]
    pub header: bool,
    /// Blanks around a cell are no part of its text. Around numbers, dates and bools they never are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trim: bool,
    /// Cells that mean null. Default: the empty cell, which is null in all columns but text in any case.
    #[serde(default = "empty_cell")]
    pub null_values: Vec<String>,
    /// How dates are written, in the words of `strptime`. Default: `%Y-%m-%d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_format: Option<TimeFormat>,
    /// How timestamps are written, in the words of `strptime`. Default: as RFC 3339 has them, the offset optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_format: Option<TimeFormat>,
}

fn utf_8() -> String {
    "utf-8".to_owned()
}

fn is_utf_8(label: &str) -> bool {
    label == "utf-8"
}

fn comma() -> char {
    ','
}

fn double_quote() -> char {
    '"'
}

fn point() -> char {
    '.'
}

fn is_point(decimal: &char) -> bool {
    *decimal == '.'
}

fn yes() -> bool {
    true
}

fn empty_cell() -> Vec<String> {
    vec![String::new()]
}

impl Default for Csv {
    fn default() -> Csv {
        Csv {
            encoding: utf_8(),
            delimiter: comma(),
            quote: double_quote(),
            decimal: point(),
            thousands: None,
            header: yes(),
            trim: false,
            null_values: empty_cell(),
            date_format: None,
            timestamp_format: None,
        }
    }
}

impl Csv {
    /// Validation has made sure that the label is one.
    pub fn encoding(&self) -> &'static Encoding {
        encoding_of(&self.encoding).unwrap_or(UTF_8)
    }
}

/// Labels that messages offer: those of the standard that people write, and those below.
pub const ENCODING_LABELS: [&str; 30] = [
    "utf-8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "latin-1",
    "latin-2",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-5",
    "iso-8859-7",
    "iso-8859-9",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "macintosh",
    "macroman",
    "koi8-r",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "gbk",
    "gb18030",
    "big5",
];

/// The encoding that a label means; names of other tools (`macroman`, `latin-1`) count as labels.
pub fn encoding_of(label: &str) -> Option<&'static Encoding> {
    let lower = label.trim().to_ascii_lowercase();
    let standard = match lower.as_str() {
        "macroman" | "mac-roman" | "mac_roman" => "macintosh",
        "latin-1" | "latin_1" => "latin1",
        "latin-2" | "latin_2" => "latin2",
        "utf_8" | "utf-8-sig" | "utf_8_sig" | "utf8-sig" => "utf-8",
        "utf16" | "utf_16" => "utf-16",
        "utf_16_le" | "utf-16-le" => "utf-16le",
        "utf_16_be" | "utf-16-be" => "utf-16be",
        "sjis" | "shift-jis" => "shift_jis",
        other => other,
    };
    Encoding::for_label_no_replacement(standard.as_bytes()).or_else(|| {
        // Windows' code pages as Python calls them.
        let page = standard.strip_prefix("cp").filter(|page| page.starts_with("125"))?;
        Encoding::for_label_no_replacement(format!("windows-{page}").as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_known_by_the_names_people_write() {
        assert!(ENCODING_LABELS.iter().all(|label| encoding_of(label).is_some()));
        let name = |label: &str| encoding_of(label).map(Encoding::name);
        assert_eq!(name("MacRoman"), Some("macintosh"));
        assert_eq!(name("Latin-1"), Some("windows-1252"));
        assert_eq!(name("cp1250"), Some("windows-1250"));
        assert_eq!(name("utf8"), Some("UTF-8"));
        assert_eq!(name("klingon"), None);
    }
}
