//! What every page must be: one whole file that loads nothing, whose tags close, whose places exist.

use std::collections::HashSet;

/// Tags that have no end.
const VOID: [&str; 7] = ["meta", "link", "br", "hr", "img", "input", "!DOCTYPE"];

/// Panics where the page is not what it must be.
pub fn check(html: &str) {
    for loads in ["<script", "src=", "@import", "url(", "<link", "http://", "https://", "javascript:"] {
        assert!(!html.contains(loads), "the page holds `{loads}`");
    }
    for broken in ["NaN", "inf\"", ">inf<", "undefined", "Some(", "None<"] {
        assert!(!html.contains(broken), "the page holds `{broken}`: …{}…", around(html, broken));
    }
    balanced(html);
    let ids: Vec<&str> = values(html, " id=\"").collect();
    let known: HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(known.len(), ids.len(), "an id stands twice: {ids:?}");
    for place in values(html, "href=\"#") {
        assert!(known.contains(place), "no place `{place}`");
    }
    for svg in html.split("<svg ").skip(1) {
        let head = &svg[..svg.len().min(400)];
        assert!(head.contains("role=\"img\"") && head.contains("aria-label=\"") && head.contains("<title>"), "{head}");
    }
}

fn around<'a>(html: &'a str, word: &str) -> &'a str {
    let at = html.find(word).unwrap_or(0);
    let from = (0..=at.saturating_sub(120)).rev().find(|from| html.is_char_boundary(*from)).unwrap_or(0);
    let to = (at + 60..html.len()).find(|to| html.is_char_boundary(*to)).unwrap_or(html.len());
    &html[from..to]
}

fn values<'a>(html: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    html.split(before).skip(1).map(|rest| rest.split('"').next().unwrap())
}

/// Every tag that opens closes, in order. Text is escaped, so every `<` begins a tag.
fn balanced(html: &str) {
    let body = html.split_once("</style>").unwrap().1;
    let mut open: Vec<&str> = vec!["html", "head"];
    for piece in body.split('<').skip(1) {
        let tag = piece.split('>').next().unwrap();
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed by <{tag}>");
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}
