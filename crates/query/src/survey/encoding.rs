//! The encoding of bytes that do not say it: UTF-8 proves itself, single-byte encodings are told by the words they give.

use encoding_rs::{Encoding, MACINTOSH, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252};

/// Lower-case label of the likeliest encoding. `head` may end within a character.
pub(super) fn encoding_of(head: &[u8]) -> &'static Encoding {
    if let Some((told, _)) = Encoding::for_bom(head) {
        return told;
    }
    let even_zeros = head.iter().step_by(2).filter(|byte| **byte == 0).count();
    let odd_zeros = head.iter().skip(1).step_by(2).filter(|byte| **byte == 0).count();
    if odd_zeros * 3 > head.len() {
        return UTF_16LE;
    }
    if even_zeros * 3 > head.len() {
        return UTF_16BE;
    }
    if is_utf8_but_for_a_few(&[head]) {
        return UTF_8;
    }
    let mut best = (WINDOWS_1252, i64::MIN);
    for candidate in [WINDOWS_1252, MACINTOSH, WINDOWS_1250, WINDOWS_1251] {
        let likely = likelihood(head, candidate);
        if likely > best.1 {
            best = (candidate, likely);
        }
    }
    best.0
}

/// Whether bytes beyond ASCII are characters of UTF-8, but for one in twenty at most: other encodings hardly give any such.
pub(super) fn is_utf8_but_for_a_few(parts: &[&[u8]]) -> bool {
    let (mut good, mut bad) = (0, 0);
    for part in parts {
        let mut chunks = part.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            good += chunk.valid().chars().filter(|sign| !sign.is_ascii()).count();
            // What only lacks its end is no error.
            let is_cut = chunks.peek().is_none() && could_go_on(chunk.invalid());
            bad += usize::from(!chunk.invalid().is_empty() && !is_cut);
        }
    }
    bad * 20 <= good
}

fn could_go_on(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// The letters that western words have beyond ASCII.
const WESTERN: &str = "áàâäãåæçéèêëíìîïñóòôöõøœúùûüýÿßÁÀÂÄÃÅÆÇÉÈÊËÍÌÎÏÑÓÒÔÖÕØŒÚÙÛÜÝ";
/// Those that only central European words have.
const CENTRAL: &str = "ąćčďęěłńňřśšťůźżžőűĄĆČĎĘĚŁŃŇŘŚŠŤŮŹŻŽŐŰ";
/// Signs that stand in data.
const SIGNS: &str = "€£°§–—’‘“”«»º\u{a0}";

fn likelihood(bytes: &[u8], encoding: &'static Encoding) -> i64 {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let chars: Vec<char> = text.chars().collect();
    let mut likely = 0;
    for (place, sign) in chars.iter().enumerate().filter(|(_, sign)| !sign.is_ascii()) {
        let before = place.checked_sub(1).and_then(|place| chars.get(place)).copied().unwrap_or(' ');
        let after = chars.get(place + 1).copied().unwrap_or(' ');
        let is_cyrillic = |c: char| ('\u{400}'..='\u{4ff}').contains(&c);
        // A capital within a small word is the sign of a wrong guess.
        let odd_case = sign.is_uppercase() && before.is_lowercase();
        likely += match *sign {
            _ if odd_case => -2,
            sign if WESTERN.contains(sign) => 3,
            sign if CENTRAL.contains(sign) => 2,
            sign if is_cyrillic(sign) && (is_cyrillic(before) || is_cyrillic(after)) => 4,
            sign if SIGNS.contains(sign) && !before.is_alphabetic() => 1,
            sign if sign.is_alphabetic() => 0,
            _ => -2,
        };
    }
    likely
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_their_encoding() {
        let portuguese = "descrição,situação\nalimentação,não\nsaúde,família\nlazer,pré-escola\n";
        let russian = "имя,город\nИван,Москва\nАнна,Тверь\n";
        for (text, encoding) in
            [(portuguese, MACINTOSH), (portuguese, WINDOWS_1252), (portuguese, UTF_8), (russian, WINDOWS_1251)]
        {
            let (bytes, _, _) = encoding.encode(text);
            assert_eq!(encoding_of(&bytes), encoding);
        }
        // A few bytes that are none make no other encoding of it; where they are as many as the others, they do.
        let bad = [portuguese.repeat(5).as_bytes(), b"x,\xff\n"].concat();
        assert_eq!(encoding_of(&bad), UTF_8);
        let (bytes, _, _) = WINDOWS_1252.encode(portuguese);
        assert_ne!(encoding_of(&[portuguese.as_bytes(), &bytes].concat()), UTF_8);
        assert_eq!(encoding_of(b"plain,ascii\n1,2\n"), UTF_8);
        assert_eq!(encoding_of("caf\u{e9}".as_bytes().split_last().unwrap().1), UTF_8);
        let utf16: Vec<u8> = "a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(encoding_of(&utf16), UTF_16LE);
    }
}
